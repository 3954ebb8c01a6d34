// SPDX-License-Identifier: Apache-2.0

/**
 * Parses the head of an HTTP/1.1 request (RFC 9112 §3, §5). What two parsers could read differently is
 * refused.
 */
import { concatBytes } from "../../lib/bytes.ts";
import { badRequest } from "../errors.ts";
import { MAX_REQUEST_HEADER_BYTES, MAX_REQUEST_HEADERS } from "../headers.ts";
import { headEnd, latin1 } from "../http1/head.ts";
import type { Wire } from "../wire.ts";

export interface RequestHead {
  readonly method: string;
  /** As received: `/path`, `http://host/path` or `host:port`. */
  readonly target: string;
  /** In order, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly version: "1.0" | "1.1";
}

const REQUEST_LINE = /^([A-Z][A-Z_-]{0,31}) ([\x21-\x7e]{1,16384}) HTTP\/1\.([01])$/;
const FIELD = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/** @param text the head without its final empty line. @throws {ProxyError} `bad-request` */
export function parseRequestHead(text: string): RequestHead {
  const [first, ...lines] = text.split("\r\n");
  const start = REQUEST_LINE.exec(first!);
  if (start === null) throw badRequest("its first line is no HTTP/1.1 request line");
  if (lines.length > MAX_REQUEST_HEADERS) {
    throw badRequest(`it has more than ${MAX_REQUEST_HEADERS} headers`);
  }
  const headers = lines.map((line): [string, string] => {
    const field = FIELD.exec(line);
    if (field === null) throw badRequest("it has a malformed header line");
    return [field[1]!.toLowerCase(), field[2]!.trimEnd()];
  });
  for (const name of ["content-length", "transfer-encoding", "host"]) {
    if (headers.filter(([given]) => given === name).length > 1) {
      throw badRequest(`it has two ${name} headers`);
    }
  }
  const says = (name: string) => headers.some(([given]) => given === name);
  if (says("content-length") && says("transfer-encoding")) {
    throw badRequest("it has both Content-Length and Transfer-Encoding");
  }
  return {
    method: start[1]!,
    target: start[2]!,
    headers,
    version: start[3] === "1" ? "1.1" : "1.0",
  };
}

/**
 * @returns the head, and what came after it; null when the caller closed without a word
 * @throws {ProxyError} `bad-request` on a head that is malformed, too large or cut short
 */
export async function readRequestHead(
  wire: Wire,
): Promise<{ head: RequestHead; rest: Uint8Array } | null> {
  let bytes: Uint8Array = new Uint8Array();
  while (true) {
    const more = await wire.read();
    if (more === null) {
      if (bytes.length === 0) return null;
      throw badRequest("the connection ended inside its head");
    }
    const searched = Math.max(0, bytes.length - 3);
    bytes = concatBytes([bytes, more]);
    const end = headEnd(bytes, searched);
    if (end === -1 ? bytes.length > MAX_REQUEST_HEADER_BYTES : end > MAX_REQUEST_HEADER_BYTES) {
      throw badRequest(`its head is larger than ${MAX_REQUEST_HEADER_BYTES} bytes`);
    }
    if (end === -1) continue;
    return {
      head: parseRequestHead(latin1(bytes.subarray(0, end - 4))),
      rest: bytes.subarray(end),
    };
  }
}
