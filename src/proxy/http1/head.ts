// SPDX-License-Identifier: Apache-2.0

/**
 * Parses the head of an HTTP/1.1 response (RFC 9112 §4, §5, §6.3). Strict on purpose: a head that two
 * parsers could read differently is refused, because the bytes after it would be framed differently.
 */
import { ProxyError } from "../errors.ts";

/** Largest accepted response head, and most headers in it. */
export const MAX_HEAD_BYTES = 64 * 1024;
export const MAX_HEADERS = 128;

/** How the bytes after a head are framed. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until-close" };

export interface ResponseHead {
  readonly status: number;
  /** In order, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** Whether the connection may carry another exchange afterwards. */
  readonly keepAlive: boolean;
}

export function malformed(why: string): ProxyError {
  return new ProxyError("bad-upstream-response", `Cannot read the upstream's response: ${why}`, {
    status: 502,
  });
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/** @returns its name in lower case and its value, or null when it is malformed */
export function parseField(line: string): [string, string] | null {
  const field = FIELD.exec(line);
  return field === null ? null : [field[1]!.toLowerCase(), field[2]!.trimEnd()];
}

/**
 * @param text the head without its final empty line, one character a byte
 * @throws {ProxyError} `bad-upstream-response`
 */
export function parseHead(text: string): ResponseHead {
  const lines = text.split("\r\n");
  const start = STATUS_LINE.exec(lines[0]!);
  if (start === null) throw malformed("its first line is not an HTTP/1.1 status line");
  if (lines.length - 1 > MAX_HEADERS) throw malformed(`it has more than ${MAX_HEADERS} headers`);
  const headers: [string, string][] = [];
  let keepAlive = start[1] === "1";
  for (let index = 1; index < lines.length; index++) {
    const field = parseField(lines[index]!);
    if (field === null) throw malformed("it has a malformed header line");
    const [name, value] = field;
    if (name === "connection") {
      const options = value.toLowerCase().split(",").map((option) => option.trim());
      if (options.includes("close")) keepAlive = false;
    }
    headers.push([name, value]);
  }
  return { status: Number(start[2]), headers, keepAlive };
}

/**
 * RFC 9112 §6.3, minus every case in which recipients disagree.
 *
 * @throws {ProxyError} on both Content-Length and Transfer-Encoding, on differing lengths, on a coding
 * other than `chunked`
 */
export function framingOf(head: ResponseHead, requestMethod: string): Framing {
  let length: number | undefined;
  let coding: string | undefined;
  for (const [name, value] of head.headers) {
    if (name === "content-length") {
      // A list of equal lengths is legal but only ever seen in attacks.
      if (!/^\d{1,15}$/.test(value)) throw malformed("its Content-Length is not one number");
      const given = Number(value);
      if (length !== undefined && length !== given) throw malformed("it has two Content-Lengths");
      length = given;
    } else if (name === "transfer-encoding") {
      if (coding !== undefined) throw malformed("it has two Transfer-Encodings");
      coding = value.toLowerCase();
    }
  }
  if (coding !== undefined && coding !== "chunked") {
    throw malformed("its Transfer-Encoding is not `chunked`");
  }
  if (coding !== undefined && length !== undefined) {
    throw malformed("it has both Content-Length and Transfer-Encoding");
  }
  const { status } = head;
  if (requestMethod === "HEAD" || status < 200 || status === 204 || status === 304) {
    return { kind: "none" };
  }
  if (coding !== undefined) return { kind: "chunked" };
  if (length !== undefined) return length === 0 ? { kind: "none" } : { kind: "length", length };
  return { kind: "until-close" };
}

/** Bytes to text, one character a byte (a `TextDecoder` would turn 0x80–0x9f into other characters). */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192) as unknown as number[]);
  }
  return text;
}

/** Index just past the first CRLFCRLF at or after `from`, or -1. */
export function headEnd(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(13, from); at !== -1; at = bytes.indexOf(13, at + 1)) {
    if (bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at + 4;
  }
  return -1;
}
