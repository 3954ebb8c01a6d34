// SPDX-License-Identifier: Apache-2.0

/** From an HTTP request to a handler and back: CORS, tokens, bodies with a cap, errors in Matrix form. */
import { concatBytes } from "../lib/bytes.ts";
import { createHash } from "node:crypto";
import { BureauError, messageOf } from "../lib/errors.ts";
import { type Context, randomText, type Session } from "./context.ts";
import { badJson, MatrixError, tooLarge, unknownToken, unrecognized } from "./errors.ts";
import { type Match, Router } from "./router.ts";

export type Body = Record<string, unknown>;

/** One request on its way. */
export interface Call {
  readonly ctx: Context;
  readonly request: Request;
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The peer's address, for rate limits. */
  readonly address: string;
  /** Aborts when the client left. */
  gone(): AbortSignal;
  /** The JSON object of the body; an empty body is `{}`. @throws {MatrixError} */
  body(maxBytes?: number): Promise<Body>;
}

export interface AuthedCall extends Call {
  readonly session: Session;
}

export type Result = unknown;
export type Handler = (call: Call) => Result | Promise<Result>;
export type AuthedHandler = (call: AuthedCall) => Result | Promise<Result>;

export type Entry =
  | { readonly open: true; readonly handler: Handler }
  | { readonly open: false; readonly handler: AuthedHandler };

/** With its own pattern, which is what is counted. */
type Routed = Entry & { readonly route: string };

/** Largest body of one event request; escapes can make it longer than the event itself. */
export const MAX_BODY_BYTES = 131_072;
/** Largest body of requests that carry many events or messages. */
export const MAX_BULK_BYTES = 4 * 1024 * 1024;

const CLIENT = "/_matrix/client";

/** The table of routes. Versions are written down per route because `/v3/relations` is not a thing. */
export class Routes {
  readonly router = new Router<Routed>();

  /** Needs a valid access token. */
  on(method: string, path: string, handler: AuthedHandler, versions = ["v3", "r0"]): this {
    return this.#add(method, path, { handler, open: false }, versions);
  }

  /** Anybody may call it. */
  open(method: string, path: string, handler: Handler, versions = ["v3", "r0"]): this {
    return this.#add(method, path, { handler, open: true }, versions);
  }

  /** A path outside the versioned client API. */
  raw(method: string, path: string, entry: Entry): this {
    this.router.add(method, path, { ...entry, route: path });
    return this;
  }

  #add(method: string, path: string, entry: Entry, versions: readonly string[]): this {
    for (const version of versions) {
      this.raw(method, `${CLIENT}/${version}${path}`, entry);
    }
    return this;
  }
}

const HEADERS = {
  "content-type": "application/json",
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
  "access-control-allow-headers": "X-Requested-With, Content-Type, Authorization",
};

export const json = (body: unknown, status = 200): Response =>
  new Response(JSON.stringify(body ?? {}), { status, headers: HEADERS });

/** Headers that a handler's own `Response` needs for browsers. */
export const CORS_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-origin": "*",
};

/** @returns what `Deno.serve` calls */
export function createRequestHandler(ctx: Context, routes: Routes): Deno.ServeHandler {
  return async (request, info) => {
    const { path, query } = splitTarget(request.url);
    let route = "unknown";
    const answer = async (): Promise<Response> => {
      if (request.method === "OPTIONS") return json({});
      const match = find(routes.router, request.method, path);
      if (match === undefined) throw unrecognized(404, request.method, path);
      if (match === "wrong-method") throw unrecognized(405, request.method, path);
      const call = newCall(ctx, request, info, query, match);
      const entry = match.handler;
      route = entry.route;
      if (entry.open) return respond(await entry.handler(call));
      const session = authenticate(ctx, request, query);
      return respond(await entry.handler({ ...call, session }));
    };
    const response = await answer().catch((thrown) => failure(ctx, request, path, thrown));
    ctx.counters.request(request.method, route, response.status);
    return response;
  };
}

/**
 * Path and query as they were sent. `URL` would take `.` and `..` out of the path, even encoded, and
 * turn `\\` into `/`: a state key `..` would name another resource.
 */
function splitTarget(url: string): { path: string; query: URLSearchParams } {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const [target = ""] = (start < 0 ? "/" : url.slice(start)).split("#", 1);
  const mark = target.indexOf("?");
  return mark < 0
    ? { path: target, query: new URLSearchParams() }
    : { path: target.slice(0, mark), query: new URLSearchParams(target.slice(mark + 1)) };
}

const respond = (result: unknown) => result instanceof Response ? result : json(result);

/** A trailing slash is accepted where the exact path is unknown (`/pushrules/`, an empty state key). */
function find(router: Router<Routed>, method: string, path: string) {
  const match = router.match(method, path);
  if (typeof match === "object" || !path.endsWith("/")) return match;
  return router.match(method, path.slice(0, -1)) ?? match;
}

function newCall(
  ctx: Context,
  request: Request,
  info: Deno.ServeHandlerInfo,
  query: URLSearchParams,
  match: Match<Routed>,
): Call {
  return {
    ctx,
    request,
    params: match.params,
    query,
    address: "hostname" in info.remoteAddr ? info.remoteAddr.hostname : "",
    // `info.completed` would say so only after an answer: a poll would outlive its client.
    gone: () => request.signal,
    body: (maxBytes = MAX_BODY_BYTES) => readBody(request, maxBytes),
  };
}

/** Access tokens are stored as hashes: a stolen database opens no account. */
export const hashToken = (token: string): string =>
  createHash("sha256").update(token).digest("hex");

/** @throws {MatrixError} M_MISSING_TOKEN, M_UNKNOWN_TOKEN */
export function authenticate(ctx: Context, request: Request, query: URLSearchParams): Session {
  const header = request.headers.get("authorization");
  const token = header !== null && /^bearer /i.test(header)
    ? header.slice(7).trim()
    : query.get("access_token");
  if (token === null || token === "") {
    throw new MatrixError(401, "M_MISSING_TOKEN", "Cannot serve this without an access token");
  }
  const hash = hashToken(token);
  const row = ctx.db.get(
    "SELECT t.user_id, t.device_id, u.admin, u.deactivated FROM tokens t JOIN users u ON u.user_id = t.user_id WHERE t.hash = ?",
    hash,
  );
  if (row === undefined || row["deactivated"] === 1) throw unknownToken();
  return {
    userId: String(row["user_id"]),
    deviceId: String(row["device_id"]),
    admin: row["admin"] === 1,
    tokenHash: hash,
  };
}

async function readBody(request: Request, maxBytes: number): Promise<Body> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new MatrixError(400, "M_NOT_JSON", "Cannot read the body: it is not JSON in UTF-8");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badJson("Cannot read the body: it is not a JSON object");
  }
  return value as Body;
}

/** @throws {MatrixError} M_TOO_LARGE, before more than `maxBytes` are held */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const refuse = () => tooLarge(`Cannot read the body: it is larger than ${maxBytes} bytes`);
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    if (Number(declared) > maxBytes) {
      await request.body?.cancel();
      throw refuse();
    }
    return new Uint8Array(await request.arrayBuffer());
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > maxBytes) throw refuse();
    chunks.push(chunk);
  }
  return concatBytes(chunks, length);
}

function failure(ctx: Context, request: Request, path: string, thrown: unknown): Response {
  if (thrown instanceof MatrixError) {
    if (thrown.status >= 500) {
      ctx.log.error("cannot write", { path, error: messageOf(thrown.cause) });
    }
    const response = json(thrown.toMatrix(), thrown.status);
    const retry = thrown.extra["retry_after_ms"];
    if (typeof retry === "number") {
      response.headers.set("retry-after", `${Math.ceil(retry / 1000)}`);
    }
    return response;
  }
  const id = randomText(8);
  // The message may quote what a client sent; the reader of the log gets it, the client an id.
  ctx.log.error("request failed", {
    id,
    method: request.method,
    path,
    error: thrown instanceof BureauError ? thrown.message : messageOf(thrown),
    stack: thrown instanceof Error ? thrown.stack : undefined,
  });
  return json({
    errcode: "M_UNKNOWN",
    error: `Cannot serve this request: internal error ${id}, see the homeserver's log`,
  }, 500);
}
