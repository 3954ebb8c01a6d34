// SPDX-License-Identifier: Apache-2.0

/** Sends a streamed request body, framed by the length the caller gave or chunked. */
import { ProxyError } from "../errors.ts";
import type { Wire } from "../wire.ts";

/** @param trailers field lines with their line ends, one byte a character */
export function lastChunk(trailers = ""): Uint8Array {
  return Uint8Array.from(`0\r\n${trailers}\r\n`, (letter) => letter.charCodeAt(0));
}

/**
 * @param length what the caller promised, or null for chunked
 * @param stop ends the sending quietly: the response is complete and nobody reads the rest
 * @throws {ProxyError} `caller-left` when the caller breaks off, `bad-request` when it sends more or less
 * than it promised: the connection is then out of step and must be closed
 */
export async function sendBody(
  wire: Wire,
  body: ReadableStream<Uint8Array>,
  length: number | null,
  trailers: (() => string) | undefined,
  stop: AbortSignal,
  onSent: (count: number) => void,
): Promise<void> {
  const reader = body.getReader();
  const onStop = () => void reader.cancel().catch(() => {});
  stop.addEventListener("abort", onStop, { once: true });
  let sent = 0;
  try {
    while (true) {
      const { done, value } = await nextPiece(reader);
      if (stop.aborted) throw new Error("the response was complete before the request");
      if (done) break;
      if (value.length === 0) continue;
      sent += value.length;
      if (length !== null && sent > length) throw wrongLength();
      await wire.write(length === null ? chunk(value) : value);
      onSent(value.length);
    }
    if (length === null) await wire.write(lastChunk(trailers?.()));
    else if (sent !== length) throw wrongLength();
  } finally {
    stop.removeEventListener("abort", onStop);
    reader.cancel().catch(() => {});
  }
}

async function nextPiece(reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await reader.read();
  } catch {
    throw new ProxyError("caller-left", "Cannot send the request: the caller broke it off", {
      status: 499,
    });
  }
}

function wrongLength(): ProxyError {
  return new ProxyError(
    "bad-request",
    "Cannot send the request: its body is not as long as its Content-Length says",
    { status: 400 },
  );
}

/** One chunk with its size line and end, in one array: one write, one TLS record. */
export function chunk(bytes: Uint8Array): Uint8Array {
  const size = `${bytes.length.toString(16)}\r\n`;
  const framed = new Uint8Array(size.length + bytes.length + 2);
  for (let at = 0; at < size.length; at++) framed[at] = size.charCodeAt(at);
  framed.set(bytes, size.length);
  framed[framed.length - 2] = 13;
  framed[framed.length - 1] = 10;
  return framed;
}
