// SPDX-License-Identifier: Apache-2.0

/** What the process `parent` gets on its standard input: workers in sandboxes, and what they are to do. */
import * as z from "zod/mini";

export const ParentBootstrap = z.object({
  version: z.literal(1),
  mode: z.literal("worker"),
  run_dir: z.string(),
  state_dir: z.string(),
  /** Where worker and parent meet; bound into each sandbox at the same path. */
  fabric_dir: z.string(),
  /**
   * The launcher's document without what is to run: `bureau sandbox run` would hand it over as it is. Opaque here.
   */
  launcher: z.record(z.string(), z.json()),
  /** A provision spec. Secret. */
  spec: z.record(z.string(), z.json()),
  assignments: z.array(z.string()),
  /** Workers at a time, each for one assignment after another; null: one, for one. */
  size: z.nullable(z.int().check(z.positive(), z.lte(8))),
  /** One JSON line for each event and outcome, instead of the result. */
  json: z.boolean(),
  /** On a worker of the operator's host instead (src/agent/host): the one, or the pool, of this name; null: as the spec says. */
  placed: z.optional(z.object({ host_dir: z.string(), name: z.nullable(z.string()) })),
});
export type ParentBootstrap = z.infer<typeof ParentBootstrap>;
