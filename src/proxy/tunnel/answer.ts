// SPDX-License-Identifier: Apache-2.0

/** Writes a response to a program in the sandbox, without what it must not read. */
import { concatBytes } from "../../lib/bytes.ts";
import { chunk, lastChunk } from "../http1/body.ts";
import { latin1 } from "../http1/head.ts";
import { scrubBody, type Secrets } from "../scrub.ts";
import { type IncomingResponse, latin1Bytes } from "../upstream.ts";
import type { Wire } from "../wire.ts";
import { namedByConnection } from "./request.ts";
import type { RequestHead } from "./request_head.ts";
import { announced, mayTrail } from "./trailers.ts";

const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"],
  ...["content-length", "alt-svc"],
]);
/** They come back to their host: with stars in the place of a secret they would be of no use. */
const COOKIES = new Set(["set-cookie", "set-cookie2"]);

/**
 * @param keep whether another request may follow
 * @throws when either side breaks off: the connection is then of no more use
 */
export async function writeAnswer(
  caller: Wire,
  request: RequestHead,
  response: IncomingResponse,
  secrets: Secrets,
  keep: boolean,
  onPiece: () => void,
): Promise<void> {
  const { status, headers } = response.head;
  const bodiless = request.method === "HEAD" || status === 204 || status === 304;
  const value = (wanted: string) => headers.find(([name]) => name === wanted)?.[1];
  const encoding = value("content-encoding") ?? "";
  const plain = encoding === "" || encoding === "identity";
  const body = bodiless || secrets.isEmpty ? response.body : scrubbed(response, encoding, secrets);
  const decoded = body !== response.body && !plain;
  let lines = linesOf(
    passedHeaders(headers, secrets).filter(([name]) => !decoded || name !== "content-encoding"),
  );
  const said = value("content-length");
  let chunked = false;
  if (body instanceof Uint8Array && !bodiless) lines += `content-length: ${body.length}\r\n`;
  else if (said !== undefined && !decoded && status !== 204) {
    lines += `content-length: ${said}\r\n`;
  } else if (!bodiless) {
    chunked = request.version === "1.1";
    if (chunked) lines += "transfer-encoding: chunked\r\n" + announced(headers);
  }
  const ends = !keep || (body instanceof ReadableStream && !chunked && said === undefined);
  const head = latin1Bytes(
    `HTTP/1.1 ${status} ${reasonOf(status)}\r\n${lines}${ends ? "connection: close\r\n" : ""}\r\n`,
  );
  onPiece();
  if (bodiless) {
    await caller.write(head);
    return;
  }
  if (body instanceof Uint8Array) {
    await caller.write(concatBytes([head, body]));
    return;
  }
  const reader = body.getReader();
  try {
    await caller.write(head);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      onPiece();
      if (next.value.length === 0) continue;
      await caller.write(chunked ? chunk(next.value) : next.value);
    }
    if (chunked) await caller.write(lastChunk(linesOf(passedTrailers(response, secrets))));
  } catch (thrown) {
    await reader.cancel().catch(() => {});
    throw thrown;
  }
}

/** @throws {ProxyError} `encoding-refused`, after giving the exchange up */
function scrubbed({ body }: IncomingResponse, encoding: string, secrets: Secrets) {
  try {
    return scrubBody(body, encoding, secrets);
  } catch (thrown) {
    if (body instanceof ReadableStream) body.cancel().catch(() => {});
    throw thrown;
  }
}

/** @returns without hop-by-hop ones; where there are secrets, without cookies that hold one, and with stars */
export function passedHeaders(
  headers: IncomingResponse["head"]["headers"],
  secrets: Secrets,
): [string, string][] {
  const named = namedByConnection({ headers });
  return headers.flatMap(([name, value]): [string, string][] => {
    if (HOP_BY_HOP.has(name) || name.startsWith("proxy-") || named.has(name)) return [];
    if (secrets.isEmpty) return [[name, value]];
    if (secrets.isInName(name)) return [];
    const bytes = latin1Bytes(value);
    secrets.scrubWhole(bytes);
    const text = latin1(bytes);
    return COOKIES.has(name) && text !== value ? [] : [[name, text]];
  });
}

function passedTrailers({ head, trailers }: IncomingResponse, secrets: Secrets) {
  const named = namedByConnection(head);
  return passedHeaders(trailers?.() ?? [], secrets)
    .filter(([name]) => mayTrail(name) && !named.has(name));
}

function linesOf(headers: readonly (readonly [string, string])[]): string {
  return headers.map(([name, text]) => `${name}: ${text}\r\n`).join("");
}

/** HTTP/1.1 needs no phrase, but old clients take an empty one amiss. */
function reasonOf(status: number): string {
  if (status < 300) return "OK";
  return status < 400 ? "See" : "Refused";
}
