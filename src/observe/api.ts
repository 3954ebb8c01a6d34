// SPDX-License-Identifier: Apache-2.0

/**
 * Watching a terminal. CLI → daemon (`GET /v1/principals/:p/observe`, authorised there) → relay
 * (`GET /v1/attach` on `/run/bureau/observe/relay.sock`), both WebSocket with sub-protocol
 * `bureau.observe.v2`. Binary frames carry terminal bytes (`wire.ts`); text frames are the JSON below. The
 * relay process imports only types from here.
 */
import * as z from "zod/mini";

export {
  FLOW_WINDOW_BYTES,
  HISTORY_BYTES,
  HISTORY_MS,
  MAX_INPUT_FRAME,
  OBSERVE_PROTOCOL,
  RELAY_SOCKET,
  RELAY_TMUX_SOCKET,
} from "./constants.ts";
export { type BinaryFrame, decodeFrame, encodeFrame, FrameKind } from "./wire.ts";

export const ObserveMode = z.enum(["readonly", "readwrite"]);
export type ObserveMode = z.infer<typeof ObserveMode>;

/** How secrets are recognised by who doesn't know them: `src/lib/recording/fingerprint.ts`. */
export const SecretList = z.object({
  seed: z.number(),
  multiplier: z.number(),
  key: z.string(),
  pieces: z.array(z.tuple([z.number(), z.number(), z.string()])),
});
export type SecretList = z.infer<typeof SecretList>;

/** What the launcher writes on the relay's stdin: a line of JSON. */
export const RelayBootstrap = z.object({
  version: z.literal(1),
  /** Full localpart, for the metadata frame. */
  principal: z.string(),
  machine: z.string(),
  /** Name of the tmux session. */
  session: z.string(),
  /** What the terminal shows is written to `RELAY_RECORDINGS`; absent: it is not. */
  recording: z.optional(z.object({
    /** Of all recordings of the principal. */
    max_bytes: z.number(),
    keep_ms: z.number(),
    /** What is never written. */
    secrets: SecretList,
  })),
});
export type RelayBootstrap = z.infer<typeof RelayBootstrap>;

/** A later line: the session is over, or the relay is to go. */
export const RelayEnd = z.object({ end: z.string() });
export type RelayEnd = z.infer<typeof RelayEnd>;

/** A later line: other secrets. It is answered by a line `{"renewed":true}`. */
export const RelaySecrets = z.object({ secrets: SecretList });
export type RelaySecrets = z.infer<typeof RelaySecrets>;

/** Client → server. */
export const ObserveUp = z.discriminatedUnion("type", [
  /** Columns and rows of the watcher's terminal, 1 to 1000. The session takes the size of who types. */
  z.object({ type: z.literal("resize"), cols: z.number(), rows: z.number() }),
  /**
   * Terminal bytes of output, snapshot and history frames shown so far, their heads not counted. From the
   * first one on, output waits while more than `FLOW_WINDOW_BYTES` are on their way, and the watcher then
   * gets a `gap` and a fresh screen instead of a backlog.
   */
  z.object({ type: z.literal("ack"), bytes: z.number() }),
  /** Asks for one `screen` frame. */
  z.object({ type: z.literal("screen") }),
  /** The keyboard, whoever has it; only for those who may type. Typing takes it where nobody has it. */
  z.object({ type: z.literal("take") }),
  /** Gives the keyboard back. */
  z.object({ type: z.literal("release") }),
]);
export type ObserveUp = z.infer<typeof ObserveUp>;

/** Daemon → relay, in the midst of a watcher's frames: what this watcher may do from now on. */
export const ObserveMay = z.object({ type: z.literal("may"), mode: ObserveMode });
export type ObserveMay = z.infer<typeof ObserveMay>;

export const ObserveWatcher = z.object({
  /** Of this connection; the daemon gives it. */
  id: z.string(),
  /** Matrix user ID, or what the daemon knows of who came by a shared link. */
  who: z.string(),
  /** What this one may do. */
  mode: ObserveMode,
  /** Milliseconds since the epoch. */
  since: z.number(),
});
export type ObserveWatcher = z.infer<typeof ObserveWatcher>;

/** `id` of who has the keyboard. */
const Writer = z.nullable(z.string());

/** Server → client. `metadata` comes first, before any output; `exit` last. */
export const ObserveDown = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("metadata"),
    version: z.literal(2),
    principal: z.string(),
    machine: z.string(),
    /** Of this life of the relay: offsets of another mean nothing. */
    stream: z.string(),
    /** Where this watcher's part of the stream begins, and the size that the screen has there. */
    offset: z.number(),
    cols: z.number(),
    rows: z.number(),
    /** What was granted, which may be less than what was asked. */
    mode: ObserveMode,
    /** `id` of this watcher. */
    watcher: z.string(),
    writer: Writer,
    watchers: z.array(ObserveWatcher),
  }),
  /** The session has another size from here in the stream on. */
  z.object({ type: z.literal("size"), cols: z.number(), rows: z.number() }),
  /** Told to the watcher whom it concerns: what it may do now, or that another has the keyboard. */
  z.object({ type: z.literal("mode"), mode: ObserveMode, writer: Writer, reason: z.string() }),
  /** Who watches and who types, after each change. */
  z.object({ type: z.literal("watchers"), watchers: z.array(ObserveWatcher), writer: Writer }),
  /** Output is missing here; a snapshot follows. Null: nobody knows how much. */
  z.object({ type: z.literal("gap"), lost_bytes: z.nullable(z.number()), reason: z.string() }),
  z.object({ type: z.literal("bell") }),
  /** On one line and harmless to show. */
  z.object({ type: z.literal("title"), text: z.string() }),
  /** The lines of the screen as plain text. Hostile: neutralise before showing. */
  z.object({ type: z.literal("screen"), lines: z.array(z.string()) }),
  z.object({ type: z.literal("exit"), reason: z.string() }),
]);
export type ObserveDown = z.infer<typeof ObserveDown>;
