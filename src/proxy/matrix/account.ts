// SPDX-License-Identifier: Apache-2.0

/** The principal's account at its homeserver: the one place that adds the token, and takes it out again. */
import type { ProxyBootstrap } from "../api.ts";
import { parseUpstream } from "../destination.ts";
import { ProxyError } from "../errors.ts";
import type { UpstreamEnvironment } from "../forward.ts";
import { readText } from "../json.ts";
import { scrubBody, Secrets } from "../scrub.ts";
import type { ProxyState } from "../state.ts";
import { type IncomingResponse, Upstream } from "../upstream.ts";
import { type JsonObject, roomName, segment, serverName, serverOf } from "./parameters.ts";
import { MatrixRefusal, parseObject } from "./refusal.ts";

/** Largest body of a Matrix request: an event may have 64 KiB, as its sender formats it. */
export const MAX_EVENT_BYTES = 256 * 1024;
/** Largest answer that is read whole in here, e.g. one page of the room directory. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** How long a resolved alias is believed, and how many are. */
const ALIAS_MS = 60_000;
const MAX_ALIASES = 256;

export const V3 = "/_matrix/client/v3";
export const V1 = "/_matrix/client/v1";

export type Authority = Pick<ProxyState, "require" | "allows" | "allowsOn" | "now">;

export interface MatrixCall {
  readonly method: string;
  /** Below the homeserver's address, encoded, with its query. */
  readonly target: string;
  readonly body?: string | ReadableStream<Uint8Array> | null;
  /** Of a streamed body. */
  readonly contentType?: string;
  readonly length?: number | null;
}

export class MatrixAccount {
  readonly upstream: Upstream;
  readonly userId: string;
  /** The homeserver's own name: what others are is `matrix/federate`'s matter. */
  readonly server: string;
  readonly authority: Authority;
  readonly #base: string;
  readonly #headers: string;
  readonly #secrets: Secrets;
  readonly #aliases = new Map<string, { room: string; until: number }>();
  readonly #closing = new AbortController();

  constructor(
    account: NonNullable<ProxyBootstrap["matrix"]>,
    authority: Authority,
    environment: UpstreamEnvironment,
  ) {
    const { destination, base } = parseUpstream(account.homeserver_url, undefined);
    this.#base = base;
    this.#headers = "accept: */*\r\naccept-encoding: identity\r\n" +
      `authorization: Bearer ${account.access_token}\r\n`;
    this.#secrets = new Secrets([account.access_token]);
    this.userId = account.user_id;
    this.server = serverOf(account.user_id) ?? "";
    this.authority = authority;
    this.upstream = new Upstream({ ...environment, destination });
  }

  /** Aborts when the proxy stops: streams end then, and don't begin again. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort();
  }

  /**
   * A homeserver that is told another server's name asks that server: with the name alone an agent
   * without a network could send out what it likes. So each needs `matrix/federate/<server>`.
   */
  requireServer(name: string): void {
    if (name === this.server) return;
    this.authority.require(`matrix/federate/${serverName(name)}`);
  }

  /** The same for the server within an id or alias. */
  requireServerOf(id: string): void {
    const server = serverOf(id);
    if (server !== null) this.requireServer(server);
  }

  /** Room id of an id or alias, percent-encoded. */
  async room(given: unknown, signal: AbortSignal): Promise<string> {
    const name = roomName(given);
    if (name.startsWith("!")) return segment(name, "room");
    this.requireServerOf(name);
    const now = this.authority.now();
    const known = this.#aliases.get(name);
    if (known !== undefined && known.until > now) return known.room;
    const answer = await this.json(
      { method: "GET", target: `${V3}/directory/room/${segment(name, "room")}` },
      signal,
    );
    const id = answer["room_id"];
    if (typeof id !== "string" || !id.startsWith("!")) {
      throw new ProxyError("bad-upstream-response", `Cannot resolve "${name}": no room id came`, {
        status: 502,
      });
    }
    const room = segment(id, "room");
    if (this.#aliases.size >= MAX_ALIASES) this.#aliases.clear();
    this.#aliases.set(name, { room, until: now + ALIAS_MS });
    return room;
  }

  /** Passes a JSON answer on. @throws {MatrixRefusal} */
  async call(call: MatrixCall, signal: AbortSignal): Promise<Response> {
    const response = await this.succeed(call, signal);
    const headers = { "content-type": "application/json" };
    return new Response(response.body, { status: response.head.status, headers });
  }

  /** Reads a JSON object whole. @throws {MatrixRefusal} */
  async json(call: MatrixCall, signal: AbortSignal): Promise<JsonObject> {
    const { body } = await this.succeed(call, signal);
    return parseObject(await readText(body, MAX_ANSWER_BYTES));
  }

  /** @throws {MatrixRefusal} for every status but 2xx */
  async succeed(call: MatrixCall, signal: AbortSignal): Promise<IncomingResponse> {
    const response = await this.exchange(call, signal);
    const { status } = response.head;
    if (status >= 200 && status < 300) return response;
    throw new MatrixRefusal(status, await readText(response.body, MAX_EVENT_BYTES));
  }

  /** With the account's token; what comes back is without it. */
  async exchange(call: MatrixCall, signal: AbortSignal): Promise<IncomingResponse> {
    const { method, target, body = null, length = null } = call;
    const type = body === null
      ? ""
      : `content-type: ${typeof body === "string" ? "application/json" : call.contentType}\r\n`;
    const { head, body: answer } = await this.upstream.exchange({
      method,
      target: this.#base + target,
      headers: type + this.#headers,
      body: typeof body === "string" ? new TextEncoder().encode(body) : body,
      length,
    }, signal);
    if (this.#secrets.isEmpty) return { head, body: answer };
    const encoding = head.headers.find(([name]) => name === "content-encoding")?.[1] ?? "";
    try {
      return { head, body: scrubBody(answer, encoding, this.#secrets) };
    } catch (thrown) {
      if (answer instanceof ReadableStream) answer.cancel().catch(() => {});
      throw thrown;
    }
  }
}
