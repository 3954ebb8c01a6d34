// SPDX-License-Identifier: Apache-2.0

/** What a scenario plays with: accounts that send requests, and a record of every request and its answer. */
import assert from "node:assert/strict";
import { absolutePath, type Reply, request, type RequestOptions } from "../http.ts";
import type { TestHomeserver } from "../provider.ts";

export interface Scenario {
  readonly name: string;
  run(world: World): Promise<void>;
}

/** One request and its answer, as the differential test compares them. */
export interface Exchange {
  /** Who sent it: the name that the scenario gave the account, or `anybody`. */
  readonly actor: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly body: unknown;
}

/** The homeserver does not have what the scenario is about, and says so. */
export class Lacking extends Error {}

/**
 * `200`, `403 M_FORBIDDEN`, `4xx` where the specification leaves the status open, or `any` where homeservers
 * are known to differ: the differential test says how.
 */
export type Expected = string;

// deno-lint-ignore no-explicit-any
type Body = any;

/** Presence and the push rules that every account has are no part of what most scenarios are about. */
const QUIET = {
  presence: { not_types: ["*"] },
  account_data: { not_types: ["m.push_rules"] },
};

export const enc = encodeURIComponent;

export class World {
  readonly exchanges: Exchange[] = [];
  /** Real ids to the names that the scenario gave them. */
  readonly names = new Map<string, string>();
  readonly #homeserver: TestHomeserver;

  constructor(homeserver: TestHomeserver) {
    this.#homeserver = homeserver;
  }

  get url(): string {
    return this.#homeserver.url;
  }

  get serverName(): string {
    return this.#homeserver.serverName;
  }

  get registrationToken(): string {
    return this.#homeserver.registrationToken;
  }

  /** A localpart or alias that nobody has. */
  fresh(name: string): string {
    const unique = `${name}-${crypto.getRandomValues(new Uint8Array(5)).toHex()}`;
    this.names.set(unique, name);
    return unique;
  }

  async user(name: string): Promise<Actor> {
    const account = await this.#homeserver.registerUser(name);
    this.names.set(account.localpart, name);
    this.names.set(account.device, `DEVICE_OF_${name}`);
    return new Actor(this, name, account);
  }

  users(...names: string[]): Promise<Actor[]> {
    return Promise.all(names.map((name) => this.user(name)));
  }

  /** Somebody without an account. */
  anybody(): Actor {
    return new Actor(this, "anybody", null);
  }

  /** Another session of an account, under its own name. */
  session(name: string, body: Body, password: string): Actor {
    const { user_id: id, access_token: token, device_id: device } = body;
    this.names.set(device, `DEVICE_OF_${name}`);
    return new Actor(this, name, { id, token, device, password, localpart: localpart(id) });
  }
}

const localpart = (id: string) => id.slice(1, id.indexOf(":"));

interface Credentials {
  readonly id: string;
  readonly localpart: string;
  readonly token: string;
  readonly device: string;
  readonly password: string;
}

export class Actor {
  readonly #world: World;
  readonly #name: string;
  readonly #credentials: Credentials | null;
  #transactions = 0;

  constructor(world: World, name: string, credentials: Credentials | null) {
    this.#world = world;
    this.#name = name;
    this.#credentials = credentials;
  }

  get id(): string {
    return this.#own.id;
  }

  get localpart(): string {
    return this.#own.localpart;
  }

  get device(): string {
    return this.#own.device;
  }

  get password(): string {
    return this.#own.password;
  }

  get #own(): Credentials {
    assert.ok(this.#credentials !== null, "somebody without an account has no id");
    return this.#credentials;
  }

  get(path: string, expected?: Expected): Promise<Body> {
    return this.#expect("GET", path, {}, expected);
  }

  post(path: string, body: unknown = {}, expected?: Expected): Promise<Body> {
    return this.#expect("POST", path, { body }, expected);
  }

  put(path: string, body: unknown = {}, expected?: Expected): Promise<Body> {
    return this.#expect("PUT", path, { body }, expected);
  }

  delete(path: string, body?: unknown, expected?: Expected): Promise<Body> {
    return this.#expect("DELETE", path, body === undefined ? {} : { body }, expected);
  }

  async #expect(
    method: string,
    path: string,
    options: RequestOptions,
    expected: Expected = "200",
  ): Promise<Body> {
    const reply = await this.call(method, path, options);
    assertStatus(expected, reply, `${this.#name}: ${method} ${path}`);
    return reply.body;
  }

  /** Any request, recorded like all. */
  async call(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    const reply = await this.unrecorded(method, path, options);
    this.#world.exchanges.push({
      actor: this.#name,
      method,
      path: absolutePath(path),
      status: reply.status,
      body: reply.body instanceof Uint8Array ? `${reply.body.length} bytes` : reply.body,
    });
    return reply;
  }

  /** For what is repeated until something is so: how often differs from run to run. */
  async unrecorded(method: string, path: string, options: RequestOptions = {}): Promise<Reply> {
    return await request(this.#world.url, method, path, {
      ...(this.#credentials === null ? {} : { token: this.#credentials.token }),
      ...options,
    });
  }

  /** @returns the room's id */
  async room(body: unknown = {}): Promise<string> {
    return (await this.post("createRoom", body)).room_id;
  }

  join(room: string, expected?: Expected): Promise<Body> {
    return this.post(`rooms/${enc(room)}/join`, {}, expected);
  }

  leave(room: string, expected?: Expected): Promise<Body> {
    return this.post(`rooms/${enc(room)}/leave`, {}, expected);
  }

  invite(room: string, who: Actor, expected?: Expected): Promise<Body> {
    return this.post(`rooms/${enc(room)}/invite`, { user_id: who.id }, expected);
  }

  /** @returns the event's id */
  async send(room: string, content: unknown, type = "m.room.message"): Promise<string> {
    return (await this.trySend(room, content, type)).event_id;
  }

  trySend(room: string, content: unknown, type: string, expected?: Expected): Promise<Body> {
    const txn = `t${++this.#transactions}`;
    return this.put(`rooms/${enc(room)}/send/${enc(type)}/${txn}`, content, expected);
  }

  say(room: string, body: string): Promise<string> {
    return this.send(room, { msgtype: "m.text", body });
  }

  state(
    room: string,
    type: string,
    key: string,
    content: unknown,
    expected?: Expected,
  ): Promise<Body> {
    return this.put(`rooms/${enc(room)}/state/${enc(type)}/${enc(key)}`, content, expected);
  }

  redact(room: string, event: string, expected?: Expected): Promise<Body> {
    const txn = `r${++this.#transactions}`;
    return this.put(`rooms/${enc(room)}/redact/${enc(event)}/${txn}`, { reason: "test" }, expected);
  }

  /** @param query of `/sync`; `filter` is an object here, laid over one that mutes presence */
  sync(query: Record<string, unknown> = {}): Promise<Body> {
    return this.get(syncPath(query));
  }

  /** Syncs on from `since` until `done` holds for an answer, which is not recorded. */
  async syncUntil(
    since: string,
    done: (body: Body) => boolean,
    query: Record<string, unknown> = {},
  ): Promise<Body> {
    const deadline = Date.now() + 30_000;
    let position = since;
    while (Date.now() < deadline) {
      const { status, body } = await this.unrecorded(
        "GET",
        syncPath({ timeout: 5_000, ...query, since: position }),
      );
      assert.equal(status, 200, JSON.stringify(body));
      if (done(body)) return body;
      position = body.next_batch;
    }
    throw new Error("what was waited for never came with a sync");
  }
}

function syncPath(query: Record<string, unknown>): string {
  const { filter = {}, ...rest } = query;
  const parameters = new URLSearchParams({ timeout: "0" });
  for (const [name, value] of Object.entries(rest)) parameters.set(name, String(value));
  parameters.set(
    "filter",
    typeof filter === "string" ? filter : JSON.stringify({ ...QUIET, ...filter as object }),
  );
  return `sync?${parameters}`;
}

function assertStatus(expected: Expected, reply: Reply, what: string): void {
  const { status, body } = reply;
  if (
    expected !== "404 M_UNRECOGNIZED" && (status === 404 || status === 405) &&
    body?.errcode === "M_UNRECOGNIZED"
  ) {
    const endpoint = what.replace(/^\w+: /, "").replace(/\?.*/, "").replace(/![^/]+/, "{roomId}");
    throw new Lacking(`the homeserver has no ${endpoint}`);
  }
  const errcode = typeof body?.errcode === "string" ? ` ${body.errcode}` : "";
  const actual = `${status}${expected.includes(" ") ? errcode : ""}`;
  const fits = expected === "any" ||
    (expected === "4xx" ? status >= 400 && status < 500 : actual === expected);
  assert.ok(fits, `${what}: ${status} instead of ${expected}: ${JSON.stringify(body)}`);
}
