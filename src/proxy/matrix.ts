// SPDX-License-Identifier: Apache-2.0

/** `/v1/matrix/*`: the Matrix calls an agent may make, each with the grant it needs. */
import type { ProxyBootstrap } from "./api.ts";
import { parseUpstream } from "./destination.ts";
import { badRequest, ProxyError } from "./errors.ts";
import type { UpstreamEnvironment } from "./forward.ts";
import { readJsonObject, readText } from "./json.ts";
import { type IncomingResponse, Upstream } from "./upstream.ts";

/** Largest body of a Matrix request: an event may have 64 KiB, as its sender formats it. */
const MAX_EVENT_BYTES = 256 * 1024;
/** How long a resolved alias is believed, and how many are. */
const ALIAS_MS = 60_000;
const MAX_ALIASES = 256;
const API = "/_matrix/client/v3";
/** Narrower than Matrix itself: a type is part of an action's name, and of a path. */
const EVENT_TYPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/;

export type Authorize = (action: string) => void;

export class MatrixGateway {
  readonly upstream: Upstream;
  readonly #base: string;
  readonly #headers: string;
  readonly #authorize: Authorize;
  readonly #now: () => number;
  readonly #aliases = new Map<string, { room: string; until: number }>();

  constructor(
    account: NonNullable<ProxyBootstrap["matrix"]>,
    authorize: Authorize,
    environment: UpstreamEnvironment,
  ) {
    const { destination, base } = parseUpstream(account.homeserver_url, undefined);
    this.#base = base + API;
    this.#headers = `accept: application/json\r\nauthorization: Bearer ${account.access_token}\r\n`;
    this.#authorize = authorize;
    this.#now = environment.now;
    this.upstream = new Upstream({ ...environment, destination });
  }

  whoami(request: Request): Promise<Response> {
    return this.#call(request, "GET", "/account/whoami");
  }

  joinedRooms(request: Request): Promise<Response> {
    return this.#call(request, "GET", "/joined_rooms");
  }

  resolve(request: Request, query: URLSearchParams): Promise<Response> {
    const alias = query.get("alias") ?? "";
    if (!alias.startsWith("#")) throw badRequest("the query needs `alias`, a room alias");
    return this.#call(request, "GET", `/directory/room/${segment(alias, "alias")}`);
  }

  async getState(request: Request, query: URLSearchParams): Promise<Response> {
    this.#authorize("matrix/read");
    const room = await this.#room(request, query.get("room"));
    const type = eventType(query.get("type"), "type");
    return this.#call(request, "GET", `/rooms/${room}/state/${type}/${stateKey(query.get("key"))}`);
  }

  async putState(request: Request): Promise<Response> {
    const body = await readJsonObject(request, MAX_EVENT_BYTES);
    const type = eventType(body["event_type"], "event_type");
    this.#authorize(`matrix/state/${type}`);
    const room = await this.#room(request, body["room"]);
    const key = stateKey(body["state_key"] ?? "");
    const content = JSON.stringify(contentOf(body));
    return this.#call(request, "PUT", `/rooms/${room}/state/${type}/${key}`, content);
  }

  async sendMessage(request: Request, query: URLSearchParams): Promise<Response> {
    const body = await readJsonObject(request, MAX_EVENT_BYTES);
    return this.#send(request, query, body, "m.room.message");
  }

  async sendEvent(request: Request, query: URLSearchParams): Promise<Response> {
    const body = await readJsonObject(request, MAX_EVENT_BYTES);
    return this.#send(request, query, body, eventType(body["event_type"], "event_type"));
  }

  async #send(
    request: Request,
    query: URLSearchParams,
    body: Record<string, unknown>,
    type: string,
  ): Promise<Response> {
    this.#authorize(`matrix/send/${type}`);
    const room = await this.#room(request, body["room"]);
    // The same id never sends twice, so that an agent may repeat a send it heard no answer to.
    const txn = segment(query.get("txn") ?? crypto.randomUUID(), "txn");
    const content = JSON.stringify(contentOf(body));
    return this.#call(request, "PUT", `/rooms/${room}/send/${type}/${txn}`, content);
  }

  async messages(request: Request, query: URLSearchParams): Promise<Response> {
    this.#authorize("matrix/read");
    const room = await this.#room(request, query.get("room"));
    const forwarded = new URLSearchParams({ dir: query.get("dir") === "f" ? "f" : "b" });
    for (const name of ["from", "to", "filter"]) copy(query, forwarded, name);
    copyNumber(query, forwarded, "limit");
    return this.#call(request, "GET", `/rooms/${room}/messages?${forwarded}`);
  }

  async members(request: Request, query: URLSearchParams): Promise<Response> {
    this.#authorize("matrix/read");
    const room = await this.#room(request, query.get("room"));
    return this.#call(request, "GET", `/rooms/${room}/members`);
  }

  async roomState(request: Request, query: URLSearchParams): Promise<Response> {
    this.#authorize("matrix/read");
    const room = await this.#room(request, query.get("room"));
    return this.#call(request, "GET", `/rooms/${room}/state`);
  }

  async join(request: Request): Promise<Response> {
    this.#authorize("matrix/join");
    const { room } = await readJsonObject(request, MAX_EVENT_BYTES);
    return this.#call(request, "POST", `/join/${segment(roomName(room), "room")}`, "{}");
  }

  sync(request: Request, query: URLSearchParams): Promise<Response> {
    this.#authorize("matrix/read");
    const forwarded = new URLSearchParams();
    for (const name of ["since", "filter"]) copy(query, forwarded, name);
    copyNumber(query, forwarded, "timeout");
    return this.#call(request, "GET", `/sync?${forwarded}`);
  }

  /** Room id of an id or alias, percent-encoded. */
  async #room(request: Request, given: unknown): Promise<string> {
    const name = roomName(given);
    if (name.startsWith("!")) return segment(name, "room");
    const known = this.#aliases.get(name);
    if (known !== undefined && known.until > this.#now()) return known.room;
    const response = await this.#exchange(
      request,
      "GET",
      `/directory/room/${segment(name, "room")}`,
    );
    const text = await readText(response.body, MAX_EVENT_BYTES);
    if (response.head.status !== 200) throw new MatrixRefusal(response.head.status, text);
    const id = parseObject(text)["room_id"];
    if (typeof id !== "string" || !id.startsWith("!")) {
      throw new ProxyError("bad-upstream-response", `Cannot resolve "${name}": no room id came`, {
        status: 502,
      });
    }
    const room = segment(id, "room");
    if (this.#aliases.size >= MAX_ALIASES) this.#aliases.clear();
    this.#aliases.set(name, { room, until: this.#now() + ALIAS_MS });
    return room;
  }

  async #call(
    request: Request,
    method: string,
    path: string,
    body?: string,
  ): Promise<Response> {
    const response = await this.#exchange(request, method, path, body);
    const { status } = response.head;
    if (status >= 200 && status < 300) {
      return new Response(response.body, {
        status,
        headers: { "content-type": "application/json" },
      });
    }
    throw new MatrixRefusal(status, await readText(response.body, MAX_EVENT_BYTES));
  }

  #exchange(
    request: Request,
    method: string,
    path: string,
    body?: string,
  ): Promise<IncomingResponse> {
    return this.upstream.exchange({
      method,
      target: this.#base + path,
      headers: body === undefined
        ? this.#headers
        : `content-type: application/json\r\n${this.#headers}`,
      body: body === undefined ? null : new TextEncoder().encode(body),
      length: null,
    }, request.signal);
  }
}

/** The homeserver's own refusal, in this project's shape with Matrix's `errcode` beside it. */
export class MatrixRefusal extends ProxyError {
  readonly errcode: string;

  constructor(status: number, text: string) {
    const body = parseObject(text);
    const errcode = typeof body["errcode"] === "string" ? body["errcode"] : "M_UNKNOWN";
    const why = typeof body["error"] === "string" ? body["error"] : `status ${status}`;
    // A redirect is never followed: the account's token belongs to this homeserver alone.
    super(errcode, why, { status: status < 400 ? 502 : status });
    this.errcode = errcode;
  }

  override toBody() {
    return { ...super.toBody(), errcode: this.errcode };
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === "object" && json !== null ? json as Record<string, unknown> : {};
  } catch {
    return {};
  }
}

function roomName(given: unknown): string {
  // deno-lint-ignore no-control-regex -- control characters are what is refused
  if (typeof given !== "string" || !/^[!#][^\x00-\x20\x7f]{1,254}$/.test(given)) {
    throw badRequest("`room` must be a room id or alias");
  }
  return given;
}

function eventType(given: unknown, field: string): string {
  if (typeof given !== "string" || !EVENT_TYPE.test(given)) {
    throw badRequest(`\`${field}\` must be an event type such as m.room.message`);
  }
  return given;
}

function stateKey(given: unknown): string {
  if (given === null || given === "") return "";
  return segment(given, "state key");
}

/** One percent-encoded path segment; dots alone would be a way up, whatever their encoding. */
function segment(given: unknown, field: string): string {
  if (
    typeof given !== "string" || given === "" || given === "." || given === ".." ||
    given.length > 512 || !given.isWellFormed()
  ) {
    throw badRequest(`\`${field}\` is empty, too long or not allowed`);
  }
  return encodeURIComponent(given);
}

function contentOf(body: Record<string, unknown>): Record<string, unknown> {
  const content = body["content"];
  if (typeof content !== "object" || content === null || Array.isArray(content)) {
    throw badRequest("`content` must be an object");
  }
  return content as Record<string, unknown>;
}

function copy(from: URLSearchParams, to: URLSearchParams, name: string): void {
  const value = from.get(name);
  if (value !== null) to.set(name, value);
}

function copyNumber(from: URLSearchParams, to: URLSearchParams, name: string): void {
  const value = from.get(name);
  if (value === null) return;
  if (!/^\d{1,9}$/.test(value)) throw badRequest(`\`${name}\` must be a number`);
  to.set(name, value);
}
