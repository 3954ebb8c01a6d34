// SPDX-License-Identifier: Apache-2.0

/** What a bridge must know of a request to send it to the right socket. The proxy parses it properly. */

/** More than any request's head may have. */
export const MAX_HEAD_BYTES = 64 * 1024;

export type Route = "more" | "forward" | "proxy";

/**
 * `CONNECT`, `http://…` to somebody else and WebSocket handshakes need the connection itself:
 * `forward.sock`. All else is a request to the proxy. What is too long or no HTTP goes to the proxy,
 * which says what is wrong with it. Pure: the same bytes give the same answer however they were cut.
 */
export function routeOf(bytes: Uint8Array): Route {
  const text = latin1(bytes.subarray(0, MAX_HEAD_BYTES));
  const end = text.indexOf("\r\n\r\n");
  if (end === -1 && bytes.length < MAX_HEAD_BYTES) {
    // A request line that can't become one of ours needs no waiting.
    return /^[A-Z]*(?: |$)/.test(text) ? "more" : "proxy";
  }
  const head = end === -1 ? text : text.slice(0, end);
  const [first, ...lines] = head.split("\r\n");
  if (/^CONNECT /.test(first!)) return "forward";
  if (/^[A-Z]+ https?:\/\//i.test(first!)) return "forward";
  return lines.some((line) => /^upgrade:\s*websocket\s*$/i.test(line)) ? "forward" : "proxy";
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}
