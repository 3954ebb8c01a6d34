// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { defineApi } from "../../lib/http/api.ts";

export const RecordingView = z.object({
  id: z.string(),
  /** The same for all parts that one terminal's life was cut into. */
  session: z.string(),
  part: z.number(),
  /** Milliseconds since the epoch. */
  started: z.number(),
  ended: z.number(),
  /** On disk, compressed once it is closed. */
  bytes: z.number(),
  /** It is being written. */
  open: z.boolean(),
});
export type RecordingView = z.infer<typeof RecordingView>;

/** One event of `followRecording`. Hostile: what an agent showed. */
export const RecordingNews = z.discriminatedUnion("type", [
  /** Another recording begins. */
  z.object({
    type: z.literal("recording"),
    id: z.string(),
    cols: z.number(),
    rows: z.number(),
    started: z.number(),
  }),
  /** As in asciicast v3; `at`: milliseconds since the epoch. */
  z.object({
    type: z.literal("event"),
    at: z.number(),
    code: z.enum(["o", "r", "m", "x"]),
    data: z.string(),
  }),
]);
export type RecordingNews = z.infer<typeof RecordingNews>;

export const recordingRoutes = defineApi({
  title: "Recordings",
  version: "1",
  routes: {
    recorded: {
      method: "GET",
      path: "/v1/recordings",
      summary:
        "Principals of which there are recordings, also of those that are gone; those that the caller may observe",
      response: z.object({
        principals: z.array(z.object({
          principal: z.string(),
          recordings: z.number(),
          bytes: z.number(),
          /** Of the newest one; ms since the epoch. */
          ended: z.number(),
        })),
      }),
    },
    recordings: {
      method: "GET",
      path: "/v1/principals/:principal/recordings",
      summary: "Recordings of its terminal, the oldest first; right `observe`",
      response: z.object({ principal: z.string(), recordings: z.array(RecordingView) }),
    },
    recording: {
      method: "GET",
      path: "/v1/principals/:principal/recordings/:id",
      summary:
        "One of them: asciicast v3, a JSON document a line; written down; right `observe`. Hostile: neutralise before showing",
      query: {
        from: "milliseconds since its beginning: what came before comes without its pauses",
      },
      kind: "text",
    },
    followRecording: {
      method: "GET",
      path: "/v1/principals/:principal/recording",
      summary:
        "Server-sent events: the newest recording from its beginning, what is added to it, and those that follow it; written down; right `observe`, looked at again and again",
      kind: "sse",
    },
  },
}).routes;
