// SPDX-License-Identifier: Apache-2.0

/**
 * `/_matrix/…` for stock Matrix clients, by the same grants as `/v1/matrix/…`. Whatever access token a client
 * sends is thrown away: who speaks is decided by the socket.
 */
import { badRequest, ProxyError } from "../errors.ts";
import { readText } from "../json.ts";
import { type MatrixAccount, MAX_EVENT_BYTES, V3 } from "./account.ts";
import { requireAlias, requireCreateRoom, requireInvite, requireState } from "./checks.ts";
import { publicRooms } from "./directory.ts";
import { type Match, matchEndpoint } from "./match.ts";
import { download, upload } from "./media.ts";
import { asQuery, isObject, type JsonObject, serverName, text, userName } from "./parameters.ts";
import { matrixErrorResponse } from "./refusal.ts";

/** What a client is given for an access token. It opens nothing: the socket does. */
export const SYNTHETIC_TOKEN = "bureau-proxy";
const ANSWER_HEADERS = new Set(["content-type", "content-disposition", "etag", "retry-after"]);

export function isPassthrough(path: string): boolean {
  return path.startsWith("/_matrix/") || path.startsWith("/.well-known/matrix/");
}

/**
 * @param account null when the principal has none
 * @param note told of each refusal, to be counted
 */
export async function passThrough(
  account: MatrixAccount | null,
  request: Request,
  path: string,
  query: URLSearchParams,
  note: (thrown: unknown) => void,
): Promise<Response> {
  try {
    if (account === null) {
      throw new ProxyError(
        "no-matrix-account",
        "Cannot call Matrix: the principal has no account",
        {
          status: 503,
          hint: "seal a Matrix account into the principal's credentials",
        },
      );
    }
    const match = matchEndpoint(request.method, path);
    if (match.action !== null) account.authority.require(match.action);
    requireParameters(account, match, query);
    return await answer(account, request, match, allowed(match, query));
  } catch (thrown) {
    note(thrown);
    return matrixErrorResponse(thrown);
  }
}

/** Names of other servers, and of the user who speaks. */
function requireParameters(account: MatrixAccount, match: Match, query: URLSearchParams): void {
  for (const [name, value] of match.parameters) {
    if (name === "self" && value !== account.userId) {
      throw new ProxyError("forbidden", `Cannot speak for "${value}": this is ${account.userId}`, {
        status: 403,
        hint: "log in anew: the client takes itself for another user",
      });
    }
    if (name === "user" || name === "alias" || name === "joined") account.requireServerOf(value);
    if (name === "server") account.requireServer(value);
  }
  for (const name of ["via", "server_name", "server"]) {
    if (!match.endpoint.query?.includes(name)) continue;
    for (const server of query.getAll(name)) account.requireServer(serverName(server, name));
  }
}

function allowed(match: Match, query: URLSearchParams): URLSearchParams {
  const kept = new URLSearchParams();
  for (const name of match.endpoint.query ?? []) {
    for (const value of query.getAll(name)) kept.append(name, value);
  }
  return kept;
}

async function answer(
  account: MatrixAccount,
  request: Request,
  match: Match,
  query: URLSearchParams,
): Promise<Response> {
  const { signal } = request;
  const target = match.target + asQuery(query);
  switch (match.endpoint.kind) {
    case "well-known":
      return Response.json({ "m.homeserver": { base_url: `http://${hostOf(request)}` } });
    case "login-flows":
      return Response.json({ flows: [{ type: "m.login.password" }] });
    case "login":
      return await login(account, await readBody(request) ?? {}, signal);
    case "logout":
      // The session is the proxy's, which goes on; so does the client's name for it.
      return Response.json({});
    case "upload":
      return await upload(account, request, request.method, target);
    case "download":
      // The address is complete: what a client asks beside it (allow_redirect) is not passed on.
      return await download(account, { method: "GET", target }, signal);
    case "public-rooms": {
      const body = await readBody(request) ?? {};
      for (const name of ["since", "limit"]) {
        if (body[name] !== undefined) query.set(name, String(body[name]));
      }
      const filter = isObject(body["filter"]) ? body["filter"] : {};
      const search = filter["generic_search_term"];
      return await publicRooms(
        account,
        query,
        search === undefined ? null : text(search, "generic_search_term", 255),
        signal,
      );
    }
    default:
      return await forward(account, request, match, target);
  }
}

async function forward(
  account: MatrixAccount,
  request: Request,
  match: Match,
  target: string,
): Promise<Response> {
  const { method } = request;
  const read = method === "GET" ? null : await readBody(request);
  // As it was understood, not as it was written: a name that stands twice stands once now.
  const body = checked(account, match, read ?? {});
  const response = await account.exchange({
    method,
    target,
    body: method === "GET" || (method === "DELETE" && read === null) ? null : JSON.stringify(body),
  }, request.signal);
  const { status } = response.head;
  if (status >= 300 && status < 400) {
    if (response.body instanceof ReadableStream) response.body.cancel().catch(() => {});
    throw new ProxyError("redirected", "Cannot follow the homeserver's redirect", {
      status: 502,
      hint: "an operator should give the homeserver's own address",
    });
  }
  const headers = response.head.headers.filter(([name]) => ANSWER_HEADERS.has(name));
  return new Response(status === 204 ? null : response.body, {
    status,
    headers: headers.map(([name, value]): [string, string] => [name, value]),
  });
}

/** What goes on of a body. @throws {ProxyError} when it would do what is not granted */
function checked(account: MatrixAccount, match: Match, body: JsonObject): JsonObject {
  const { check } = match.endpoint;
  if (check === undefined) return body;
  const reason = body["reason"] === undefined ? {} : { reason: text(body["reason"], "reason") };
  switch (check) {
    case "create-room":
      requireCreateRoom(account, body);
      return body;
    case "state": {
      const key = match.parameters.get("key") ?? "";
      requireState(account, match.parameters.get("type")!, key, body);
      return body;
    }
    case "invite":
      return { user_id: requireInvite(account, body), ...reason };
    case "member":
      return { user_id: userName(body["user_id"], "user_id"), ...reason };
    case "reason":
      return reason;
    case "alias":
      requireAlias(account, match.parameters.get("alias")!);
      return body;
    default: {
      const users = body[check.users];
      if (!isObject(users)) throw badRequest(`\`${check.users}\` must be an object`);
      for (const user of Object.keys(users)) account.requireServerOf(userName(user));
      return body;
    }
  }
}

/** null when there is none. */
async function readBody(request: Request): Promise<JsonObject | null> {
  const raw = await readText(request.body, MAX_EVENT_BYTES);
  if (raw.trim() === "") return null;
  let json: unknown;
  try {
    json = JSON.parse(raw);
  } catch {
    throw badRequest("its body is not JSON");
  }
  if (!isObject(json)) throw badRequest("its body is not a JSON object");
  return json;
}

/** Any password is right, because none is asked for; a wrong user is told so. */
async function login(
  account: MatrixAccount,
  body: JsonObject,
  signal: AbortSignal,
): Promise<Response> {
  const identifier = isObject(body["identifier"]) ? body["identifier"]["user"] : undefined;
  const user = identifier ?? body["user"];
  const localpart = account.userId.slice(1, account.userId.indexOf(":"));
  if (user !== undefined && user !== account.userId && user !== localpart) {
    throw new ProxyError("forbidden", `Cannot log in: this socket is ${account.userId}'s`, {
      status: 403,
      hint: "log in as that user, with any password",
    });
  }
  const session = await account.json({ method: "GET", target: `${V3}/account/whoami` }, signal);
  return Response.json({
    user_id: account.userId,
    access_token: SYNTHETIC_TOKEN,
    home_server: account.server,
    ...(typeof session["device_id"] === "string" ? { device_id: session["device_id"] } : {}),
  });
}

function hostOf(request: Request): string {
  const host = request.headers.get("host") ?? "";
  return /^[A-Za-z0-9.-]{1,255}(?::\d{1,5})?$/.test(host) ? host : "127.0.0.1:8642";
}
