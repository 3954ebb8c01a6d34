// SPDX-License-Identifier: Apache-2.0

/** A body of lines, in pieces that end with one. */
import { concatBytes } from "../../lib/bytes.ts";
import { AgentServiceError } from "./errors.ts";

const NEWLINE = 10;
export const MAX_LINE = 4 * 1024 * 1024;

/**
 * Whole lines, as many as came at once.
 * @throws {AgentServiceError} `half-line` at its end, `too-large`
 */
export async function* wholeLines(
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let pending: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) {
      yield concatBytes([...pending, chunk.subarray(0, end)]);
      pending = [];
      length = 0;
    }
    pending.push(chunk.subarray(end));
    length += chunk.length - end;
    refuseLong(length);
  }
  if (length > 0) {
    throw new AgentServiceError("half-line", "Cannot take the last line: it has no end", {
      status: 400,
      hint: "send lines of JSON, each with its end",
    });
  }
}

/** The first line, and the rest as it comes. */
export async function firstLine(
  body: AsyncIterable<Uint8Array>,
): Promise<{ readonly line: string; readonly rest: AsyncIterable<Uint8Array> }> {
  const chunks = body[Symbol.asyncIterator]();
  let before: Uint8Array = new Uint8Array();
  while (true) {
    const { value: chunk, done } = await chunks.next();
    if (done) {
      throw new AgentServiceError("bad-request", "Cannot read the request: it has no first line", {
        status: 400,
        hint: "one line of JSON says what the content is that follows",
      });
    }
    const end = chunk.indexOf(NEWLINE);
    before = concatBytes([before, end < 0 ? chunk : chunk.subarray(0, end)]);
    refuseLong(before.length);
    if (end < 0) continue;
    const first = chunk.subarray(end + 1);
    const rest = async function* () {
      if (first.length > 0) yield first;
      yield* { [Symbol.asyncIterator]: () => chunks };
    };
    return { line: new TextDecoder().decode(before), rest: rest() };
  }
}

function refuseLong(length: number): void {
  if (length <= MAX_LINE) return;
  throw new AgentServiceError("too-large", `Cannot take a line of more than ${MAX_LINE} bytes`, {
    status: 413,
  });
}
