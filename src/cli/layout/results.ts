// SPDX-License-Identifier: Apache-2.0

/** What the commands of `layout` give as JSON. */
import * as z from "zod/mini";
import { Layout } from "../../lib/schema/mod.ts";

const place = {
  scope: z.enum(["machine", "room", "all"]),
  name: z.string(),
  room: z.string(),
  digest: z.string(),
};

export const show = z.object({
  ...place,
  stored: z.boolean(),
  /** Why what is stored is not used. */
  problem: z.nullable(z.string()),
  layout: Layout,
});
/** Undefined: the text to edit, which `sh tasks/bureau` asks for first. */
export const edit = z.optional(z.object({ ...place, changed: z.boolean() }));
export const dashboard = z.optional(z.object({
  scope: place.scope,
  name: z.string(),
  room: z.string(),
  windows: Layout.shape.windows,
}));
export const set = z.object({ ...place, changed: z.boolean() });
