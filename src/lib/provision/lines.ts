// SPDX-License-Identifier: Apache-2.0

/** A process that its parent tells more while it runs: each document is one line of stdin. */
import { concatBytes } from "../bytes.ts";
import {
  BOOTSTRAP_DEADLINE_MS,
  type BootstrapOptions,
  MAX_BOOTSTRAP_BYTES,
  parseDocument,
  ProvisionError,
} from "./mod.ts";

const NEWLINE = 10;

/**
 * As `readBootstrap`, of a first line; whoever writes one document and closes is understood too.
 *
 * @param onLater each further line, or why it can't be read; one at a time
 * @throws {ProvisionError}
 */
export async function readBootstrapLines<T>(
  parse: (json: unknown) => T,
  onLater: (document: T | ProvisionError) => Promise<void>,
  options: BootstrapOptions = {},
): Promise<T> {
  const lines = linesOf(
    options.stdin ?? Deno.stdin.readable,
    options.maxBytes ?? MAX_BOOTSTRAP_BYTES,
  );
  const deadlineMs = options.deadlineMs ?? BOOTSTRAP_DEADLINE_MS;
  // Not setTimeout, as in `readBootstrap`.
  const deadline = AbortSignal.timeout(deadlineMs);
  const late = Promise.withResolvers<never>();
  const onLate = () =>
    late.reject(
      new ProvisionError("bootstrap-late", `stdin held no whole line within ${deadlineMs} ms`),
    );
  deadline.addEventListener("abort", onLate, { once: true });
  let first: Uint8Array;
  try {
    const { value } = await Promise.race([lines.next(), late.promise]);
    first = value ?? new Uint8Array();
  } finally {
    deadline.removeEventListener("abort", onLate);
  }
  const document = parseDocument(first, parse);
  void follow(lines, parse, onLater);
  return document;
}

async function follow<T>(
  lines: AsyncIterable<Uint8Array>,
  parse: (json: unknown) => T,
  onLater: (document: T | ProvisionError) => Promise<void>,
): Promise<void> {
  try {
    for await (const line of lines) {
      let document: T | ProvisionError;
      try {
        document = parseDocument(line, parse);
      } catch (thrown) {
        document = thrown as ProvisionError;
      }
      await onLater(document);
    }
  } catch {
    // The parent is gone, or wrote a line without end: nothing more is taken from it.
  }
}

async function* linesOf(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array, undefined> {
  let pieces: Uint8Array[] = [];
  let length = 0;
  for await (let piece of stream) {
    let end: number;
    while ((end = piece.indexOf(NEWLINE)) !== -1) {
      pieces.push(piece.subarray(0, end));
      yield concatBytes(pieces, length + end);
      pieces = [];
      length = 0;
      piece = piece.subarray(end + 1);
    }
    if (piece.length > 0) pieces.push(piece);
    length += piece.length;
    if (length > maxBytes) {
      throw new ProvisionError("bootstrap-oversized", `it is larger than ${maxBytes} bytes`);
    }
  }
  if (length > 0) yield concatBytes(pieces, length);
}
