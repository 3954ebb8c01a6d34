// SPDX-License-Identifier: Apache-2.0

/**
 * asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/): a header and then events, one JSON
 * document a line, each event with the seconds since the one before.
 */
import { BureauError } from "../errors.ts";

export class RecordingError extends BureauError {
  override readonly name = "RecordingError";
}

export interface CastHeader {
  readonly cols: number;
  readonly rows: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly title: string;
}

/** `o` output, `r` size, `m` marker, `x` exit status. Input (`i`) is never recorded. */
export type CastCode = "o" | "r" | "m" | "x";

export interface CastEvent {
  /** Milliseconds since the recording's first moment. */
  readonly at: number;
  readonly code: CastCode;
  readonly data: string;
}

const MAX_SIDE = 1000;
/** A longer line is no recording of ours. */
const MAX_LINE = 8 * 1024 * 1024;
/** A year: what is longer than that is damage. */
const MAX_INTERVAL_MS = 366 * 86_400_000;
const CODES = new Set(["o", "r", "m", "x"]);

/** With its line break. */
export function headerLine({ cols, rows, startedAt, title }: CastHeader): string {
  const timestamp = Math.floor(startedAt / 1000);
  const header = { version: 3, term: { cols, rows, type: "xterm-256color" }, timestamp, title };
  // A comment, which players skip: the format's time stamp has no parts of a second.
  return `${JSON.stringify(header)}\n# started_ms ${startedAt}\n`;
}

/** With its line break. @param interval milliseconds since the event before */
export function eventLine(interval: number, code: CastCode, data: string): string {
  return `[${(Math.max(0, interval) / 1000).toFixed(3)}, "${code}", ${JSON.stringify(data)}]\n`;
}

export function sizeText({ cols, rows }: { cols: number; rows: number }): string {
  return `${cols}x${rows}`;
}

/** @returns null where it is no size that a terminal has */
export function parseSizeText(text: string): { cols: number; rows: number } | null {
  const match = /^(\d{1,4})x(\d{1,4})$/.exec(text);
  const [cols, rows] = [Number(match?.[1]), Number(match?.[2])];
  const isSide = (side: number) => side >= 1 && side <= MAX_SIDE;
  return isSide(cols) && isSide(rows) ? { cols, rows } : null;
}

export interface Cast {
  readonly header: CastHeader;
  /** Until the end, or the first line that is damaged: what was written before a crash is whole. */
  readonly events: AsyncGenerator<CastEvent>;
}

/** @throws {RecordingError} `not-a-recording` */
export async function readCast(bytes: AsyncIterable<Uint8Array>): Promise<Cast> {
  const lines = linesOf(bytes);
  const first = await lines.next();
  const header = first.done ? null : parseHeader(first.value);
  if (header === null) {
    await lines.return(undefined);
    throw new RecordingError(
      "not-a-recording",
      "Cannot read the recording: its first line is no header of asciicast v3",
      { status: 422, hint: "a recording of which only the first bytes reached the disk is empty" },
    );
  }
  const second = await lines.next();
  const exact = second.done ? null : /^# started_ms (\d{1,15})$/.exec(second.value);
  const before = second.done || exact !== null ? [] : [second.value];
  return {
    header: exact === null ? header : { ...header, startedAt: Number(exact[1]) },
    events: eventsOf(lines, before),
  };
}

async function* eventsOf(
  lines: AsyncGenerator<string, undefined>,
  before: readonly string[],
): AsyncGenerator<CastEvent> {
  let at = 0;
  const parse = (line: string): CastEvent | "skip" | null => {
    if (line.startsWith("#") || line === "") return "skip";
    const event = parseEvent(line);
    if (event === null) return null;
    at += event.interval;
    return CODES.has(event.code) ? { at, code: event.code as CastCode, data: event.data } : "skip";
  };
  try {
    for (const line of before) {
      const event = parse(line);
      if (event === null) return;
      if (event !== "skip") yield event;
    }
    for await (const line of lines) {
      const event = parse(line);
      if (event === null) return;
      if (event !== "skip") yield event;
    }
  } finally {
    await lines.return(undefined);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function parseHeader(line: string): CastHeader | null {
  const value = parseJson(line) as Record<string, unknown> | null;
  if (typeof value !== "object" || value === null || value["version"] !== 3) return null;
  const term = value["term"] as Record<string, unknown> | undefined;
  const size = parseSizeText(`${term?.["cols"]}x${term?.["rows"]}`);
  if (size === null) return null;
  const { timestamp, title } = value;
  return {
    ...size,
    startedAt: typeof timestamp === "number" && timestamp > 0 && timestamp < 1e11
      ? timestamp * 1000
      : 0,
    title: typeof title === "string" ? title.slice(0, 500) : "",
  };
}

function parseEvent(line: string): { interval: number; code: string; data: string } | null {
  const value = parseJson(line);
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [seconds, code, data] = value;
  if (typeof seconds !== "number" || typeof code !== "string" || typeof data !== "string") {
    return null;
  }
  const interval = Math.round(seconds * 1000);
  return interval >= 0 && interval <= MAX_INTERVAL_MS ? { interval, code, data } : null;
}

/** Whole lines only: a last one without its end was cut off. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let pending: string[] = [];
  let length = 0;
  for await (const part of bytes) {
    const lines = decoder.decode(part, { stream: true }).split("\n");
    for (const [index, line] of lines.entries()) {
      pending.push(line);
      length += line.length;
      if (length > MAX_LINE) return;
      if (index === lines.length - 1) break;
      yield pending.join("");
      pending = [];
      length = 0;
    }
  }
}
