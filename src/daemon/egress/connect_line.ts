// SPDX-License-Identifier: Apache-2.0

/**
 * The one request that the gate understands: `CONNECT host:port HTTP/1.1`, header lines, a blank line.
 * It comes from a proxy that may have been taken over, so everything that has two readings is refused.
 */

import { parseAuthority, type Target } from "../../lib/authority.ts";

/** Largest head: 4 KiB. A CONNECT needs some 100 bytes. */
export const MAX_HEAD_BYTES = 4096;

export type ConnectHead =
  | { readonly state: "more" }
  | { readonly state: "bad"; readonly why: string }
  /** `length`: bytes of the head; what follows belongs to the tunnel. */
  | { readonly state: "ok"; readonly target: Target; readonly length: number };

const bad = (why: string): ConnectHead => ({ state: "bad", why });

/** Reads what has arrived so far. Pure: the same bytes give the same answer however they were cut. */
export function parseConnectHead(bytes: Uint8Array): ConnectHead {
  const end = findEnd(bytes);
  const seen = end === -1 ? bytes.length : end;
  if (end === -1 ? seen >= MAX_HEAD_BYTES : seen > MAX_HEAD_BYTES) {
    return bad(`the request is longer than ${MAX_HEAD_BYTES} bytes`);
  }
  for (let at = 0; at < seen; at++) {
    const byte = bytes[at]!;
    const isBreak = byte === 13 || byte === 10;
    if (byte > 126 || (byte < 32 && !isBreak)) return bad("it holds a byte that is not plain text");
    // A lone CR or LF ends a line for some readers and not for others.
    if (byte === 10 && bytes[at - 1] !== 13) return bad("a line feed stands alone");
    if (byte === 13 && at + 1 < bytes.length && bytes[at + 1] !== 10) {
      return bad("a carriage return stands alone");
    }
  }
  if (end === -1) return { state: "more" };
  const [request, ...headers] = new TextDecoder().decode(bytes.subarray(0, end - 4)).split("\r\n");
  const words = /^CONNECT (\S+) HTTP\/1\.1$/.exec(request!);
  if (words === null) return bad("only CONNECT host:port HTTP/1.1 is understood");
  const target = parseAuthority(words[1]!);
  if (target === null) return bad("the target is not host:port");
  let hosts = 0;
  for (const line of headers) {
    const header = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([^\r\n]*)$/.exec(line);
    if (header === null) return bad("a header line is malformed");
    const name = header[1]!.toLowerCase();
    if (name === "content-length" || name === "transfer-encoding") {
      return bad("a CONNECT has no body");
    }
    if (name !== "host") continue;
    const host = parseAuthority(header[2]!);
    if (++hosts > 1 || host === null || host.host !== target.host || host.port !== target.port) {
      return bad("Host differs from the target");
    }
  }
  return { state: "ok", target, length: end };
}

function findEnd(bytes: Uint8Array): number {
  const limit = Math.min(bytes.length, MAX_HEAD_BYTES + 4);
  for (let at = 3; at < limit; at++) {
    if (bytes[at] === 10 && bytes[at - 1] === 13 && bytes[at - 2] === 10 && bytes[at - 3] === 13) {
      return at + 1;
    }
  }
  return -1;
}
