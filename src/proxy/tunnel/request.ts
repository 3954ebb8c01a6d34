// SPDX-License-Identifier: Apache-2.0

/** From a request as a program in the sandbox wrote it to the one that its host gets. */
import { concatBytes } from "../../lib/bytes.ts";
import { badRequest, ProxyError } from "../errors.ts";
import { normalisePath } from "../path.ts";
import { bodyEncoding } from "../swap/encoding.ts";
import type { HostPolicy } from "../swap/hosts.ts";
import type { OutgoingRequest } from "../upstream.ts";
import type { RequestHead } from "./request_head.ts";
import { requestFraming, type RequestReader } from "./request_reader.ts";
import { announced, mayTrail } from "./trailers.ts";

/** A body that is known to be so short is swapped whole, so that its host is told its length. */
const WHOLE_BODY_BYTES = 64 * 1024;
/** They speak about one connection, or are made anew. `expect` is answered here. */
const DROPPED = new Set([
  ...["connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"],
  ...["host", "content-length"],
]);

/** Header lines and target, with secrets. */
export interface OutgoingHead {
  readonly target: string;
  readonly headers: string;
}

/**
 * @param path as received, beginning with a slash
 * @param query with its question mark, or empty
 * @throws {ProxyError} by the host's rules, or `placeholder-wrong-host`
 */
export function outgoingHead(
  head: RequestHead,
  path: string,
  query: string,
  { placeholders, rules, secrets }: HostPolicy,
): OutgoingHead {
  // A host without rules gets the path as it was written; with rules, the one that they were asked about.
  const normal = rules === null ? path : normalisePath(path);
  rules?.require(head.method, normal);
  if (!secrets.isEmpty && (head.method === "TRACE" || head.method === "TRACK")) {
    throw new ProxyError("method-not-allowed", `Cannot send a ${head.method} request`, {
      status: 405,
      hint: "it would send the credential back",
    });
  }
  const named = namedByConnection(head);
  let lines = "";
  for (const [name, value] of head.headers) {
    if (DROPPED.has(name) || name.startsWith("proxy-") || named.has(name)) continue;
    // An answer that is encoded could not be searched for secrets without decoding it.
    if (name === "accept-encoding" && !secrets.isEmpty) continue;
    lines += `${name}: ${placeholders.inHeader(value)}\r\n`;
  }
  if (!secrets.isEmpty) lines += "accept-encoding: identity\r\n";
  if (requestFraming(head).kind === "chunked") lines += announced(head.headers);
  // Servers that are not asked for trailers may leave them out.
  const takesTrailers = head.headers.some(([name, value]) =>
    name === "te" && value.toLowerCase().split(",").some((part) => part.trim() === "trailers")
  );
  if (takesTrailers) lines += "connection: TE\r\nte: trailers\r\n";
  return { target: placeholders.inText(normal + query, "url"), headers: lines };
}

/** @param onPiece called for each piece that the client sent */
export async function outgoingBody(
  head: RequestHead,
  reader: RequestReader,
  { placeholders }: HostPolicy,
  onPiece: () => void,
  onEnd: () => void,
  onError: (error: unknown) => void,
): Promise<Pick<OutgoingRequest, "body" | "length" | "trailers">> {
  const framing = requestFraming(head);
  if (framing.kind === "none") return { body: null, length: null };
  const said = framing.kind === "length" ? framing.length : null;
  const header = (wanted: string) => head.headers.find(([name]) => name === wanted)?.[1] ?? "";
  const coding = header("content-encoding").trim().toLowerCase();
  // What is compressed can't be looked into; a placeholder in it stays one.
  const readable = coding === "" || coding === "identity";
  const swapper = placeholders.isEmpty || !readable
    ? null
    : placeholders.stream(bodyEncoding(header("content-type")));
  const changes = swapper !== null && placeholders.swaps;
  if (changes && said !== null && said <= WHOLE_BODY_BYTES) {
    const parts: Uint8Array[] = [];
    for (let piece = await reader.readBody(); piece !== null; piece = await reader.readBody()) {
      onPiece();
      parts.push(swapper.push(piece));
    }
    parts.push(swapper.end());
    onEnd();
    return { body: concatBytes(parts), length: null };
  }
  let trailers = "";
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        while (true) {
          const piece = await reader.readBody();
          onPiece();
          const out = piece === null
            ? swapper?.end()
            : swapper === null
            ? piece
            : swapper.push(piece);
          if (out !== undefined && out.length > 0) controller.enqueue(out);
          if (piece === null) {
            trailers = trailerLines(head, reader, placeholders);
            controller.close();
            onEnd();
          }
          if (piece === null || (out !== undefined && out.length > 0)) return;
        }
      } catch (thrown) {
        onError(thrown);
        controller.error(thrown);
      }
    },
  }, { highWaterMark: 0 });
  return { body, length: changes ? null : said, trailers: () => trailers };
}

/** @throws {ProxyError} `placeholder-wrong-host`, or `-place` */
function trailerLines(
  head: RequestHead,
  reader: RequestReader,
  placeholders: HostPolicy["placeholders"],
): string {
  const named = namedByConnection(head);
  return reader.trailers.filter(([name]) => mayTrail(name) && !named.has(name))
    .map(([name, value]) => `${name}: ${placeholders.inHeader(value)}\r\n`).join("");
}

export function isWebSocket({ method, headers }: RequestHead): boolean {
  return method === "GET" &&
    headers.some(([name, value]) => name === "upgrade" && value.toLowerCase() === "websocket");
}

export function namedByConnection(
  { headers }: { readonly headers: readonly (readonly [string, string])[] },
): Set<string> {
  return new Set(
    headers.filter(([name]) => name === "connection").flatMap(([, value]) =>
      value.toLowerCase().split(",").map((option) => option.trim())
    ),
  );
}

/** Whether the client expects another exchange on the connection. */
export function wantsMore(head: RequestHead): boolean {
  const named = namedByConnection(head);
  return head.version === "1.1" && !named.has("close");
}

/**
 * A request inside TLS is for the host that the tunnel was opened to: another name in its `Host` would be
 * answered by another site of the same server.
 *
 * @throws {ProxyError} `wrong-host`
 */
export function requireHost(given: string, wanted: string): void {
  if (given === wanted) return;
  throw new ProxyError("wrong-host", `Cannot send a request for "${given}" to "${wanted}"`, {
    status: 421,
    hint: "open a connection of its own for each host",
  });
}

export function missingHost(): ProxyError {
  return badRequest("it has no Host header");
}
