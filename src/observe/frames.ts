// SPDX-License-Identifier: Apache-2.0

/** Reads what reaches the relay by hand: it loads no schema library (see `constants.ts`). */
import { parseSecretList } from "../lib/recording/mod.ts";
import type {
  ObserveMay,
  ObserveMode,
  ObserveUp,
  RelayBootstrap,
  RelayEnd,
  RelaySecrets,
} from "./api.ts";
import { ObserveError } from "./errors.ts";

/** Largest side of a terminal that is believed. */
const MAX_SIDE = 1000;
/** Longest name of a watcher: a Matrix user ID has 255 bytes at most. */
const MAX_NAME = 300;

/** @throws {ObserveError} naming the field */
export function parseRelayBootstrap(json: unknown): RelayBootstrap {
  const document = json as Record<string, unknown>;
  const bad = (field: string) =>
    new ObserveError("bootstrap-malformed", `Cannot start the relay: "${field}" is wrong`);
  if (document["version"] !== 1) throw bad("version");
  const text = (field: string) => {
    const value = document[field];
    if (typeof value !== "string" || value === "") throw bad(field);
    return value;
  };
  const session = text("session");
  // It becomes part of a shell command, and of a tmux target in which `:` and `.` have a meaning.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(session)) throw bad("session");
  const recording = document["recording"] === undefined
    ? {}
    : { recording: parseRecording(document["recording"]) };
  const [principal, machine] = [text("principal"), text("machine")];
  return { version: 1, principal, machine, session, ...recording };
}

function parseRecording(value: unknown): NonNullable<RelayBootstrap["recording"]> {
  const { max_bytes, keep_ms, secrets } = (value ?? {}) as Record<string, unknown>;
  const isCount = (count: unknown): count is number =>
    typeof count === "number" && Number.isSafeInteger(count) && count >= 0;
  if (!isCount(max_bytes) || !isCount(keep_ms)) {
    throw new ObserveError("bootstrap-malformed", 'Cannot start the relay: "recording" is wrong');
  }
  return { max_bytes, keep_ms, secrets: listOf(secrets) };
}

function listOf(value: unknown): RelaySecrets["secrets"] {
  // What a schema's type is, can be written to.
  return parseSecretList(value) as RelaySecrets["secrets"];
}

/** A line of the launcher's. @throws {ObserveError} naming the field */
export function parseRelayLine(json: unknown): RelayBootstrap | RelayEnd | RelaySecrets {
  const { end, secrets } = json as Record<string, unknown>;
  if (typeof end === "string") return { end };
  return secrets === undefined ? parseRelayBootstrap(json) : { secrets: listOf(secrets) };
}

export interface Size {
  readonly cols: number;
  readonly rows: number;
}

/** @returns null unless both are whole numbers from 1 to 1000 */
export function parseSize(cols: unknown, rows: unknown): Size | null {
  const side = (value: unknown) =>
    typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_SIDE;
  return side(cols) && side(rows) ? { cols: cols as number, rows: rows as number } : null;
}

export interface Attach {
  readonly mode: ObserveMode;
  readonly size: Size;
  /** Where to go on; null: with the present screen. */
  readonly resume: { readonly stream: string; readonly offset: number } | null;
  /** Seconds of history to show first; null: none. */
  readonly since: number | null;
  readonly who: string;
  /** Null: one is made. */
  readonly watcher: string | null;
}

/** What the request asks for; whoever does not ask to type only watches. */
export function parseAttach(query: URLSearchParams): Attach {
  const stream = query.get("stream");
  const offset = natural(query.get("offset"));
  return {
    mode: query.get("mode") === "readwrite" ? "readwrite" : "readonly",
    size: parseSize(Number(query.get("cols")), Number(query.get("rows"))) ?? { cols: 80, rows: 24 },
    resume: stream === null || offset === null ? null : { stream, offset },
    since: natural(query.get("since")),
    who: query.get("who")?.slice(0, MAX_NAME) || "somebody",
    watcher: query.get("watcher")?.slice(0, MAX_NAME) || null,
  };
}

function natural(text: string | null): number | null {
  if (text === null || !/^\d{1,16}$/.test(text)) return null;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : null;
}

/** @returns null for a frame that is not one of ours: it is ignored */
export function parseUp(text: string): ObserveUp | ObserveMay | null {
  let frame: unknown;
  try {
    frame = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof frame !== "object" || frame === null) return null;
  const { type, cols, rows, bytes, mode } = frame as Record<string, unknown>;
  switch (type) {
    case "resize": {
      const size = parseSize(cols, rows);
      return size === null ? null : { type, ...size };
    }
    case "ack":
      return typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes >= 0
        ? { type, bytes }
        : null;
    case "screen":
    case "take":
    case "release":
      return { type };
    case "may":
      return mode === "readonly" || mode === "readwrite" ? { type, mode } : null;
    default:
      return null;
  }
}
