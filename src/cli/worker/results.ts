// SPDX-License-Identifier: Apache-2.0

/** What `worker run` and `worker pool` write with `--json`, a line at a time. */
import * as z from "zod/mini";

export const Line = z.union([
  /** What the executor tells on the way, in its own words. */
  z.object({ assignment: z.number(), event: z.unknown() }),
  /** How it ended: the last of each assignment. */
  z.object({
    assignment: z.number(),
    outcome: z.looseObject({ status: z.enum(["completed", "error", "cancelled", "timeout"]) }),
  }),
]);
