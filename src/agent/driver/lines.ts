// SPDX-License-Identifier: Apache-2.0

/** Lines of a program's output. None is ever lost, and none ends the reading, however long it is. */

export interface Line {
  readonly text: string;
  /** Not: this is a part of a line that was too long to be held; the rest follows. */
  readonly isWhole: boolean;
}

/** A program's answer with a file in it is one line: 16 MB are held, what is longer comes in parts. */
export const MAX_LINE = 16 * 1024 * 1024;

const NEWLINE = 10;

export async function* readLines(
  stream: ReadableStream<Uint8Array>,
  maxBytes = MAX_LINE,
): AsyncGenerator<Line> {
  const decoder = new TextDecoder();
  let held: Uint8Array[] = [];
  let size = 0;
  let isCut = false;
  const take = (isLast: boolean): Line => {
    const bytes = held.length === 1 ? held[0]! : concat(held, size);
    held = [];
    size = 0;
    const line = { text: decoder.decode(bytes), isWhole: isLast && !isCut };
    isCut = !isLast;
    return { text: line.text.replace(/\r$/, ""), isWhole: line.isWhole };
  };
  for await (let chunk of stream) {
    while (true) {
      const end = chunk.indexOf(NEWLINE);
      const part = end === -1 ? chunk : chunk.subarray(0, end);
      let from = 0;
      while (size + part.length - from > maxBytes) {
        const room = maxBytes - size;
        held.push(part.subarray(from, from + room));
        size = maxBytes;
        from += room;
        yield take(false);
      }
      if (from < part.length || end !== -1) held.push(part.subarray(from));
      size += part.length - from;
      if (end === -1) break;
      yield take(true);
      chunk = chunk.subarray(end + 1);
    }
  }
  if (size > 0) yield take(true);
}

function concat(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** @returns null: no JSON object */
export function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export const objectOf = (value: unknown): Record<string, unknown> => isObject(value) ? value : {};
export const listOf = (value: unknown): readonly unknown[] => Array.isArray(value) ? value : [];
export const textOf = (value: unknown): string => typeof value === "string" ? value : "";
/** What a count may be; anything else is none. */
export const countOf = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
