// SPDX-License-Identifier: Apache-2.0

/** What the commands of `config` give as JSON. */
import * as z from "zod/mini";

const path = z.string();

export const init = z.object({ path, written: z.boolean() });
export const check = z.object({
  path,
  problems: z.array(z.object({ where: z.string(), setting: z.string(), message: z.string() })),
});
export const show = z.object({
  path,
  settings: z.array(z.object({ setting: z.string(), value: z.string(), from: z.string() })),
});
