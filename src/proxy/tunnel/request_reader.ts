// SPDX-License-Identifier: Apache-2.0

/** Reads requests off one connection, one after another. */
import { badRequest } from "../errors.ts";
import { MAX_REQUEST_HEADER_BYTES } from "../headers.ts";
import { type Framing, latin1 } from "../http1/head.ts";
import { MessageReader } from "../http1/message.ts";
import type { Wire } from "../wire.ts";
import { parseRequestHead, type RequestHead } from "./request_head.ts";

export class RequestReader extends MessageReader {
  constructor(wire: Wire) {
    super(wire, MAX_REQUEST_HEADER_BYTES, badRequest);
  }

  /**
   * The next request's head, null when the client has ended the connection.
   *
   * @throws {ProxyError} `bad-request`
   */
  async next(): Promise<RequestHead | null> {
    if (await this.ended()) return null;
    const head = parseRequestHead(latin1(await this.takeHead()));
    this.take(head);
    return head;
  }

  /** The body of a head that was read before comes next. */
  take(head: RequestHead): void {
    this.begin(requestFraming(head));
  }
}

/**
 * RFC 9112 §6.3 for requests. `parseRequestHead` has refused two of a kind, and one of each.
 *
 * @throws {ProxyError} `bad-request` on what servers frame differently
 */
export function requestFraming({ headers, version }: RequestHead): Framing {
  const value = (wanted: string) => headers.find(([name]) => name === wanted)?.[1];
  const coding = value("transfer-encoding");
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") {
      throw badRequest("its Transfer-Encoding isn't `chunked`");
    }
    if (version === "1.0") throw badRequest("HTTP/1.0 knows no Transfer-Encoding");
    return { kind: "chunked" };
  }
  const length = value("content-length");
  if (length === undefined) return { kind: "none" };
  if (!/^\d{1,15}$/.test(length)) throw badRequest("its Content-Length is no number");
  return Number(length) === 0 ? { kind: "none" } : { kind: "length", length: Number(length) };
}
