// SPDX-License-Identifier: Apache-2.0

/**
 * Watching a terminal. CLI → daemon (`GET /v1/principals/:p/observe`, authorised there) → relay
 * (`GET /v1/attach` on `/run/bureau/observe/relay.sock`), both WebSocket with sub-protocol
 * `bureau.observe.v1`. Binary frames are terminal bytes: output downwards, keystrokes upwards. Text
 * frames are the JSON below. The relay process imports only types from here.
 */
import * as z from "zod/mini";

export {
  FLOW_WINDOW_BYTES,
  OBSERVE_PROTOCOL,
  RELAY_SOCKET,
  RELAY_TMUX_SOCKET,
} from "./constants.ts";

export const ObserveMode = z.enum(["readonly", "readwrite"]);
export type ObserveMode = z.infer<typeof ObserveMode>;

/** What the launcher writes on the relay's stdin. */
export const RelayBootstrap = z.object({
  version: z.literal(1),
  /** Full localpart, for the metadata frame. */
  principal: z.string(),
  machine: z.string(),
  /** Name of the tmux session. */
  session: z.string(),
  /** The relay ends itself after this long without a watcher. */
  idle_ms: z.number(),
});
export type RelayBootstrap = z.infer<typeof RelayBootstrap>;

/** Client → server. */
export const ObserveUp = z.discriminatedUnion("type", [
  /** Columns and rows of the watcher's terminal, 1 to 1000. */
  z.object({ type: z.literal("resize"), cols: z.number(), rows: z.number() }),
  /**
   * Bytes of output shown so far. From the first one on, output waits while more than
   * `FLOW_WINDOW_BYTES` are on their way, and the watcher then gets a fresh screen instead of a backlog.
   */
  z.object({ type: z.literal("ack"), bytes: z.number() }),
  /** Asks for one `screen` frame. */
  z.object({ type: z.literal("screen") }),
]);
export type ObserveUp = z.infer<typeof ObserveUp>;

/** Server → client. `metadata` comes first, before any output; `exit` last. */
export const ObserveDown = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("metadata"),
    principal: z.string(),
    machine: z.string(),
    /** What was granted, which may be less than what was asked. */
    mode: ObserveMode,
    watchers: z.number(),
  }),
  /** The lines of the screen as plain text. Hostile: neutralise before showing. */
  z.object({ type: z.literal("screen"), lines: z.array(z.string()) }),
  z.object({ type: z.literal("exit"), reason: z.string() }),
]);
export type ObserveDown = z.infer<typeof ObserveDown>;
