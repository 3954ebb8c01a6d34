// SPDX-License-Identifier: Apache-2.0

/** The example's time-stamp authority: RFC 3161 over HTTPS, for callers that know its key. */
import { timingSafeEqual } from "node:crypto";
import { BureauError } from "../../../src/lib/errors.ts";
import { type AuthorityBootstrap, CA_PATH, STAMP_PATH } from "./api.ts";
import { certificatePem, keyPem } from "./certificates.ts";
import { answerQuery } from "./stamp.ts";
import { openStore } from "./store.ts";

export * from "./api.ts";

export class AuthorityError extends BureauError {
  override readonly name = "AuthorityError";
}

/** A query is some hundred bytes. */
const MAX_QUERY_BYTES = 16 * 1024;

export interface RunningAuthority {
  /** `https://<host>:<port>` */
  readonly url: string;
  stop(): Promise<void>;
}

/** @throws {AuthorityError} when its address is taken, or its directory cannot be used */
export async function startAuthority(bootstrap: AuthorityBootstrap): Promise<RunningAuthority> {
  const { ca, server: identity, stamper } = await openStore(bootstrap.state_dir, bootstrap.host);
  const caPem = certificatePem(ca);
  const expected = Uint8Array.fromHex(bootstrap.api_key_sha256);
  const handle = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (pathname === CA_PATH) {
      return only("GET", request) ??
        new Response(caPem, { headers: { "content-type": "application/x-pem-file" } });
    }
    if (pathname === STAMP_PATH) {
      return only("POST", request) ?? await stamp(request);
    }
    return refusal(404, "not-found", "there is no such page");
  };
  const stamp = async (request: Request): Promise<Response> => {
    if (!await knowsKey(request.headers.get("x-api-key"), expected)) {
      return refusal(401, "unauthorized", "the X-Api-Key header is missing or wrong");
    }
    if (request.headers.get("content-type") !== "application/timestamp-query") {
      return refusal(415, "unsupported-type", "send application/timestamp-query");
    }
    const query = await readLimited(request);
    if (query === null) {
      return refusal(413, "too-large", `a query has at most ${MAX_QUERY_BYTES} bytes`);
    }
    const reply = await answerQuery(query, stamper, Date.now());
    return new Response(reply, { headers: { "content-type": "application/timestamp-reply" } });
  };
  const { hostname, port } = bootstrap.listen;
  try {
    const server = Deno.serve({
      hostname,
      port,
      cert: certificatePem(identity) + caPem,
      key: await keyPem(identity),
      onListen() {},
      onError: () => refusal(500, "internal", "the authority met an unforeseen fault"),
    }, handle);
    return {
      url: `https://${bootstrap.host}:${server.addr.port}`,
      stop: () => server.shutdown(),
    };
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.AddrInUse)) throw thrown;
    throw new AuthorityError(
      "address-in-use",
      `Cannot listen on "${hostname}:${port}": another process does`,
      { hint: "choose another address with --authority HOST:PORT", cause: thrown },
    );
  }
}

/** Compares hashes, so that neither time nor length says anything about the key. */
async function knowsKey(given: string | null, expected: Uint8Array): Promise<boolean> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(given ?? ""));
  return timingSafeEqual(new Uint8Array(digest), expected) && given !== null;
}

function only(method: string, request: Request): Response | null {
  if (request.method === method) return null;
  return refusal(405, "method-not-allowed", `it takes ${method}`);
}

function refusal(status: number, code: string, why: string): Response {
  return Response.json({ error: { code, message: `Cannot answer the request: ${why}` } }, {
    status,
  });
}

async function readLimited(request: Request): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of request.body ?? []) {
    length += piece.length;
    if (length > MAX_QUERY_BYTES) return null;
    pieces.push(piece);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
