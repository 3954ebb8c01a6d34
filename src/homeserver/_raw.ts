// SPDX-License-Identifier: Apache-2.0

/** Requests byte by byte: what `fetch` would refuse to send or put right before it is sent. */

export interface RawReply {
  /** 0: the server closed the connection without an answer. */
  readonly status: number;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

const encoder = new TextEncoder();

function requestBytes(
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Uint8Array | undefined,
): Uint8Array[] {
  if (method === "") return body === undefined ? [] : [body];
  const length = body === undefined || "content-length" in headers || "transfer-encoding" in headers
    ? {}
    : { "content-length": String(body.length) };
  const lines = Object.entries({ host: "x", connection: "close", ...length, ...headers })
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = encoder.encode(`${method} ${path} HTTP/1.1\r\n${lines}\r\n`);
  return body === undefined ? [head] : [head, body];
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/**
 * One request on a connection of its own.
 *
 * @param method empty: `body` is all that is sent
 * @throws {Error} when there is no answer within 30 s
 */
export async function raw(
  url: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: Uint8Array,
): Promise<RawReply> {
  const { hostname, port } = new URL(url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer to ${method} ${path}`)), 30_000);
  });
  try {
    const answer = read(conn);
    // A server that refused early closes while the client still writes.
    for (const part of requestBytes(method, path, headers, body)) {
      await writeAll(conn, part).catch(() => {});
    }
    return parse(await Promise.race([answer, late]));
  } finally {
    clearTimeout(timer);
  }
}

/** Sends and leaves at once, without reading. */
export async function sendAndVanish(
  url: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: Uint8Array,
): Promise<void> {
  const { hostname, port } = new URL(url);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  for (const part of requestBytes(method, path, headers, body)) await writeAll(conn, part);
}

/** Until the announced length is there, or the server closes. */
async function read(conn: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (!isWhole(text)) {
    const count = await conn.read(buffer).catch(() => null);
    if (count === null) break;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text;
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1];
  return length !== undefined && encoder.encode(text.slice(end + 4)).length >= Number(length);
}

function parse(text: string): RawReply {
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  try {
    return { status, body: JSON.parse(body) };
  } catch {
    return { status, body };
  }
}

/** Waits for a condition, half a minute at most. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!await holds()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
