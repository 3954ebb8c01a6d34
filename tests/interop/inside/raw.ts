// SPDX-License-Identifier: Apache-2.0

/** Byte-exact exchanges over a Unix socket, for programs inside a sandbox. Everything received is kept. */
export const DEADLINE_MS = 60_000;
/** A connection that stays open this long after an answer has nothing more to say. */
const IDLE_MS = 3_000;

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export interface Exchange {
  /** `closed` by the other side, `open` after an answer, `hang` without any. */
  readonly end: "closed" | "open" | "hang";
  readonly received: Uint8Array<ArrayBuffer>;
  /** The first line. */
  readonly line: string;
}

/** Sends and reads until the other side closes, or has answered and goes on waiting. */
export async function exchange(socket: string, sent: string): Promise<Exchange> {
  using connection = await Deno.connect({ transport: "unix", path: socket });
  // The other side may answer and close before it has read everything.
  const writing = writeAll(connection, bytesOf(sent)).catch(() => {});
  const pieces: Uint8Array[] = [];
  let end: Exchange["end"] = "closed";
  const buffer = new Uint8Array(64 * 1024);
  while (true) {
    const count = await withDeadline(
      connection.read(buffer).catch(() => null),
      pieces.length > 0 ? IDLE_MS : DEADLINE_MS,
    );
    if (count === "late") {
      end = pieces.length > 0 ? "open" : "hang";
      break;
    }
    if (count === null) break;
    pieces.push(buffer.slice(0, count));
  }
  const received = await joined(pieces);
  const text = latin1(received);
  try {
    connection.close();
  } catch {
    // Closed.
  }
  await writing;
  return { end, received, line: text.slice(0, Math.max(0, text.indexOf("\r\n"))) };
}

async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T | "late"> {
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), ms);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

async function joined(pieces: readonly Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
}

export function latin1(bytes: Uint8Array): string {
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; at += 8192) {
    parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
  }
  return parts.join("");
}

/** The body without chunks and coding, as a program would see it; empty when it can't be had. */
export async function bodyOf(received: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const text = latin1(received);
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return new Uint8Array();
  const head = text.slice(0, end).toLowerCase();
  let body = text.slice(end + 4);
  if (/\r\ntransfer-encoding: *chunked/.test(head)) body = dechunked(body);
  const coding = /\r\ncontent-encoding: *(gzip|deflate)/.exec(head)?.[1];
  if (coding === undefined) return bytesOf(body);
  try {
    const stream = new Blob([bytesOf(body)]).stream()
      .pipeThrough(new DecompressionStream(coding as CompressionFormat));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch {
    return new Uint8Array();
  }
}

function dechunked(body: string): string {
  let whole = "";
  for (let at = 0; at < body.length;) {
    const line = body.indexOf("\r\n", at);
    const size = parseInt(body.slice(at, line), 16);
    if (line === -1 || !(size > 0)) break;
    whole += body.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
  return whole;
}
