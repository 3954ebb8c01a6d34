// SPDX-License-Identifier: Apache-2.0

/** Lines of a program's output: none is lost, and none is so long that it ends the reading. */

/** A longer one comes in parts. */
const MAX_LINE = 4 * 1024 * 1024;

export interface Line {
  readonly text: string;
  /** Not: this is a part of one that is too long to be held. */
  readonly isWhole: boolean;
}

export async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<Line> {
  let held = "";
  let isCut = false;
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (held + decoder.decode(chunk, { stream: true })).split("\n");
    held = parts.pop()!;
    for (const part of parts) {
      yield { text: part.replace(/\r$/, ""), isWhole: !isCut };
      isCut = false;
    }
    if (held.length <= MAX_LINE) continue;
    yield { text: held, isWhole: false };
    held = "";
    isCut = true;
  }
  if (held !== "" || isCut) yield { text: held, isWhole: !isCut };
}
