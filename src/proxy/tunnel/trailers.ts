// SPDX-License-Identifier: Apache-2.0

/** Fields after a chunked body (RFC 9110 §6.5): what may stand there, and how it is announced. */

/** They say how a message is framed, routed, read or believed, which must be known before its body. */
const NEVER = new Set([
  ...["host", "authorization", "cookie", "set-cookie", "set-cookie2", "www-authenticate"],
  ...["content-length", "content-encoding", "content-type", "content-range"],
  ...["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"],
  ...["expect", "range", "location", "cache-control", "max-forwards"],
]);

/** @param name in lower case */
export function mayTrail(name: string): boolean {
  return !NEVER.has(name) && !name.startsWith("proxy-");
}

/** The `Trailer` line for the next hop, or nothing: some programs read only what it names. */
export function announced(headers: readonly (readonly [string, string])[]): string {
  const names = headers.filter(([name]) => name === "trailer")
    .flatMap(([, value]) => value.split(",").map((part) => part.trim()))
    .filter((name) => /^[\w-]{1,100}$/.test(name) && mayTrail(name.toLowerCase()));
  return names.length === 0 ? "" : `trailer: ${names.join(", ")}\r\n`;
}
