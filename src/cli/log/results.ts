// SPDX-License-Identifier: Apache-2.0

/** What the commands of `log` give as JSON. */
import * as z from "zod/mini";
import { RecordingView } from "../../daemon/api.ts";

const recordings = z.array(RecordingView);
export const Line = z.object({ at: z.number(), text: z.string() });

export const list = z.union([
  z.object({
    principals: z.array(z.object({
      principal: z.string(),
      recordings: z.number(),
      bytes: z.number(),
      ended: z.number(),
    })),
  }),
  z.object({ principal: z.string(), recordings }),
]);
export const show = z.object({
  principal: z.string(),
  recordings,
  lines: z.optional(z.array(Line)),
  /** In their place, with `markers`. */
  markers: z.optional(z.array(Line)),
});
