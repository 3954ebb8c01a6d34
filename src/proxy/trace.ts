// SPDX-License-Identifier: Apache-2.0

/** One request as a span of W3C Trace Context: written to the log, for a cell has no way to a collector. */

export interface Span {
  readonly trace: string;
  readonly id: string;
  /** The caller's span; null: the caller said none. */
  readonly parent: string | null;
  readonly flags: string;
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** @param traceparent as received; one that can't be read is none */
export function startSpan(traceparent: string | null | undefined): Span {
  const given = traceparent === null || traceparent === undefined
    ? null
    : TRACEPARENT.exec(traceparent);
  const id = randomHex(8);
  if (given === null) return { trace: randomHex(16), id, parent: null, flags: "00" };
  return { trace: given[1]!, id, parent: given[2]!, flags: given[3]! };
}

/**
 * Header lines for an upstream. Only a caller that traces is traced on: an identifier of ours in a request
 * that had none would tell the upstream which requests belong together.
 */
export function withSpan(lines: string, { trace, id, parent, flags }: Span): string {
  if (parent === null) return lines;
  return lines.replace(/^traceparent: .*\r\n/im, `traceparent: 00-${trace}-${id}-${flags}\r\n`);
}

let pool = new Uint8Array(0);
let used = 0;

/** Random bytes are had by the page: a call for each would cost more than the rest of the line. */
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(1024));
    used = 0;
  }
  const taken = pool.subarray(used, used + bytes);
  used += bytes;
  return taken.toHex();
}
