// SPDX-License-Identifier: Apache-2.0

/** What the commands of `sandbox` give as JSON. */
import * as z from "zod/mini";

export const explain = z.object({
  plan: z.record(z.string(), z.unknown()),
  sections: z.array(z.object({ title: z.string(), lines: z.array(z.string()) })),
});
