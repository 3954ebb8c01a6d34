// SPDX-License-Identifier: Apache-2.0

/**
 * What the hostile upstream answers, by the first segment of the path. `echoes` are well-formed and tell the
 * secret that came with the request; `malformed` are no HTTP, or none that two parties read alike, and tell
 * it too. A string is sent as it is, one character a byte; then the connection is closed.
 */
import type { Seen } from "./raw_request.ts";

/** Pieces are written one by one; what stands behind a pause comes after the first was surely read. */
export type Answer = string | readonly string[];
export type Answers = Readonly<
  Record<string, (seen: Seen, secret: string) => Answer | Promise<Answer>>
>;

const ok = (headers: string, body: string) =>
  `HTTP/1.1 200 OK\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;
const chunk = (text: string, extension = "") =>
  `${text.length.toString(16)}${extension}\r\n${text}\r\n`;
const chunked = (headers: string, chunks: string) =>
  `HTTP/1.1 200 OK\r\n${headers}Transfer-Encoding: chunked\r\n\r\n${chunks}`;

/** Latin1 of the decoder is windows-1252, whose upper half is no bytes: made by hand. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

async function packed(text: string, format: CompressionFormat): Promise<string> {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream(format));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

export const echoes: Answers = {
  body: ({ head, body }) => ok("Content-Type: text/plain\r\n", `${head}\n${body}`),
  "error-page": ({ head }) =>
    `HTTP/1.1 500 Oh\r\nContent-Type: text/html\r\nContent-Length: ${head.length}\r\n\r\n${head}`,
  "not-found": (_, secret) =>
    `HTTP/1.1 404 No\r\nContent-Length: ${secret.length + 4}\r\n\r\nkey ${secret}`,
  json: (_, secret) =>
    ok("Content-Type: application/json\r\n", JSON.stringify({ headers: { key: secret } })),
  percent: (_, secret) => ok("", `?key=${encodeURIComponent(secret)}`),
  headers: (_, secret) =>
    ok(
      `X-Echo: ${secret}\r\nSet-Cookie: k=${secret}; Path=/\r\nETag: "${secret}"\r\n` +
        `WWW-Authenticate: Basic realm="${secret}"\r\nContent-Disposition: attachment; filename="${secret}"\r\n`,
      "see the headers",
    ),
  "header-name": (_, secret) => ok(`X-${secret}: 1\r\n`, "see the header's name"),
  reason: (_, secret) => `HTTP/1.1 400 bad key ${secret}\r\nContent-Length: 0\r\n\r\n`,
  "content-type": (_, secret) => ok(`Content-Type: text/plain; key="${secret}"\r\n`, "x"),
  redirect: (_, secret) =>
    `HTTP/1.1 302 Found\r\nLocation: https://elsewhere.bureau.test/?k=${secret}\r\nContent-Length: 0\r\n\r\n`,
  "redirect-percent": (_, secret) =>
    `HTTP/1.1 307 Go\r\nLocation: /next?k=${
      encodeURIComponent(secret)
    }\r\nContent-Length: 0\r\n\r\n`,
  refresh: (_, secret) => ok(`Refresh: 0; url=/?k=${secret}\r\nLink: <${secret}>\r\n`, "x"),
  chunks: (_, secret) =>
    chunked("", [...secret].map((char) => chunk(char, `;key=${secret}`)).join("") + "0\r\n\r\n"),
  trailer: (_, secret) =>
    chunked("Trailer: X-Key\r\n", `${chunk("x")}0\r\nX-Key: ${secret}\r\n\r\n`),
  pieces: (_, secret) => {
    const whole = ok("", `key ${secret} end`);
    const cut = whole.indexOf(secret) + 5;
    return [whole.slice(0, cut), whole.slice(cut, cut + 10), whole.slice(cut + 10)];
  },
  hints: (_, secret) =>
    `HTTP/1.1 103 Early Hints\r\nLink: </${secret}>\r\n\r\n${ok("", "after a hint")}`,
  continue: (_, secret) =>
    `HTTP/1.1 100 Continue\r\nX-Key: ${secret}\r\n\r\n${ok("", "after a continue")}`,
  gzip: async ({ head }) => ok("Content-Encoding: gzip\r\n", await packed(head, "gzip")),
  deflate: async ({ head }) => ok("Content-Encoding: deflate\r\n", await packed(head, "deflate")),
  "unknown-encoding": ({ head }) => ok("Content-Encoding: x-mine\r\n", head),
  partial: (_, secret) => {
    const body = `--b\r\nContent-Range: bytes 0-9/99\r\n\r\n${secret}\r\n--b--\r\n`;
    return `HTTP/1.1 206 Some\r\nContent-Type: multipart/byteranges; boundary=b\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`;
  },
  events: (_, secret) =>
    chunked(
      "Content-Type: text/event-stream\r\n",
      chunk(`data: ${secret.slice(0, 9)}`) + chunk(`${secret.slice(9)}\n\n`) + "0\r\n\r\n",
    ),
  "old-and-open": ({ head }) => `HTTP/1.0 200 OK\r\n\r\n${head}`,
  open: ({ head }) => `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${head}`,
  "no-content": (_, secret) => `HTTP/1.1 204 No\r\nX-Key: ${secret}\r\n\r\n${secret}`,
  "not-modified": (_, secret) => `HTTP/1.1 304 Same\r\nETag: "${secret}"\r\n\r\n${secret}`,
  /** The answer to a request that was never made lies behind this one. */
  "two-answers": (_, secret) => `${ok("", "first")}${ok("X-Second: 1\r\n", `second ${secret}`)}`,
};

export const malformed: Answers = {
  nothing: () => "",
  garbage: (_, secret) => `\x16\x03\x01 ${secret}\r\n\r\n`,
  "no-end": (_, secret) => `HTTP/1.1 200 OK\r\nX-Key: ${secret}\r\n`,
  version: (_, secret) => `HTTP/3.7 200 OK\r\nX-Key: ${secret}\r\n\r\n${secret}`,
  "zero-nine": (_, secret) => `<html>${secret}</html>`,
  "http-two": (_, secret) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${secret}`,
  "status-word": (_, secret) => `HTTP/1.1 OK 200\r\n\r\n${secret}`,
  "status-range": (_, secret) => `HTTP/1.1 999 Odd\r\nContent-Length: 45\r\n\r\n${secret}`,
  "no-colon": (_, secret) => `HTTP/1.1 200 OK\r\n${secret}\r\nContent-Length: 1\r\n\r\nx`,
  nul: (_, secret) => ok(`X-Key: a\0${secret}\r\n`, "x"),
  "bare-cr": (_, secret) => ok(`X-Key: a\rSet-Cookie: ${secret}\r\n`, "x"),
  fold: (_, secret) => ok(`X-Key: a\r\n ${secret}\r\n`, "x"),
  "bare-lf": (_, secret) => `HTTP/1.1 200 OK\nX-Key: ${secret}\nContent-Length: 1\n\nx`,
  "space-name": (_, secret) => ok(`X-Key : ${secret}\r\n`, "x"),
  "two-lengths": (_, secret) => ok("Content-Length: 3\r\n", secret),
  "length-and-chunks": (_, secret) => chunked("Content-Length: 3\r\n", `${chunk(secret)}0\r\n\r\n`),
  "negative-length": (_, secret) => `HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n${secret}`,
  "plus-length": (_, secret) => `HTTP/1.1 200 OK\r\nContent-Length: +45\r\n\r\n${secret}`,
  "vast-length": (_, secret) =>
    `HTTP/1.1 200 OK\r\nContent-Length: ${"9".repeat(30)}\r\n\r\n${secret}`,
  "short-body": (_, secret) => `HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n${secret}`,
  "short-chunks": (_, secret) => chunked("", `ff\r\n${secret}`),
  "chunk-word": (_, secret) => chunked("", `zz\r\n${secret}\r\n0\r\n\r\n`),
  "chunk-vast": (_, secret) => chunked("", `${"f".repeat(20)}\r\n${secret}`),
  "chunk-long": (_, secret) => chunked("", `3\r\n${secret}\r\n0\r\n\r\n`),
  "chunk-line": (_, secret) => chunked("", `1;${secret.repeat(5000)}\r\nx\r\n0\r\n\r\n`),
  coding: (_, secret) => `HTTP/1.1 200 OK\r\nTransfer-Encoding: mine\r\n\r\n${secret}`,
  "coding-twice": (_, secret) =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n${chunk(secret)}0\r\n\r\n`,
  "huge-header": (_, secret) => ok(`X-Key: ${secret.repeat(30_000)}\r\n`, "x"),
  "many-headers": (_, secret) => ok(`X-Key: ${secret}\r\n`.repeat(50_000), "x"),
  "many-hints": (_, secret) =>
    `HTTP/1.1 103 Early\r\nLink: <${secret}>\r\n\r\n`.repeat(20_000) + ok("", "x"),
  "bad-gzip": (_, secret) => ok("Content-Encoding: gzip\r\n", secret),
  switching: (_, secret) =>
    `HTTP/1.1 101 Switching\r\nUpgrade: mine\r\nConnection: Upgrade\r\n\r\n${secret}`,
};
