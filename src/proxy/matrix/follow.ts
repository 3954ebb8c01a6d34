// SPDX-License-Identifier: Apache-2.0

/**
 * `GET /v1/matrix/events`: what happens in the principal's rooms, as server-sent events. Behind it the proxy
 * asks the homeserver's `/sync`, the next time only after the last answer has been taken: a reader that is
 * slow has one answer waiting, never more. An id is a place in the account's history, so a stream resumes at
 * any later time, also at another proxy. The kinds are those of the daemon's stream.
 */
import { messageOf } from "../../lib/errors.ts";
import { badRequest, ProxyError, shownError } from "../errors.ts";
import { type MatrixAccount, V3 } from "./account.ts";
import { isObject, type JsonObject, roomName } from "./parameters.ts";
import { MatrixRefusal } from "./refusal.ts";
import type { MatrixRoutes } from "./routes.ts";

const MAX_STREAMS = 16;
const MAX_NAMES = 100;
/** At least this often something is sent, or a reader could not tell a quiet stream from a dead one. */
const HEARTBEAT_MS = 15_000;
const RETRY_FIRST_MS = 500;
/** What fails is mostly the daemon next door while it is replaced: asking is cheap, and an agent waits for its answer. */
const RETRY_MOST_MS = 5_000;
/** The longest that a homeserver can ask for. */
const ASKED_MOST_MS = 60_000;

const open = new WeakMap<MatrixAccount, number>();

export const followRoutes: MatrixRoutes = {
  "events": {
    GET: async (account, request, query) => {
      account.authority.require("matrix/read");
      const filter = filterOf(account, query, await roomsOf(account, query, request.signal));
      const since = request.headers.get("last-event-id") ?? query.get("since");
      const count = open.get(account) ?? 0;
      if (count >= MAX_STREAMS) {
        throw new ProxyError("too-many-streams", `Cannot follow: ${count} streams are open`, {
          status: 429,
          hint: "close one, or follow several rooms in one stream",
        });
      }
      open.set(account, count + 1);
      const follower = new Follower(account, filter, since === "" ? null : since);
      return new Response(follower.stream(() => open.set(account, open.get(account)! - 1)), {
        headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
      });
    },
  },
};

function namesOf(query: URLSearchParams, name: string): string[] | null {
  const given = query.get(name);
  if (given === null) return null;
  const names = given.split(",").map((one) => one.trim()).filter((one) => one !== "");
  if (names.length > MAX_NAMES || names.some((one) => one.length > 255)) {
    throw badRequest(`\`${name}\` has too many or too long names`);
  }
  return names;
}

async function roomsOf(
  account: MatrixAccount,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<string[] | null> {
  const names = namesOf(query, "rooms");
  if (names === null) return null;
  const rooms = [];
  for (const name of names) {
    rooms.push(decodeURIComponent(await account.room(roomName(name), signal)));
  }
  return rooms;
}

function filterOf(account: MatrixAccount, query: URLSearchParams, rooms: string[] | null): string {
  const types = namesOf(query, "types");
  const events = types === null ? {} : { types };
  const nothing = { types: [] };
  return JSON.stringify({
    presence: nothing,
    account_data: nothing,
    room: {
      ...(rooms === null ? {} : { rooms }),
      timeline: {
        limit: 100,
        ...events,
        ...(query.get("own") === "false" ? { not_senders: [account.userId] } : {}),
      },
      state: events,
      ephemeral: nothing,
      account_data: nothing,
    },
  });
}

class Follower {
  readonly #account: MatrixAccount;
  readonly #filter: string;
  #since: string | null;
  #begun = false;
  #failures = 0;
  readonly #encoder = new TextEncoder();
  readonly #ends = new AbortController();

  constructor(account: MatrixAccount, filter: string, since: string | null) {
    this.#account = account;
    this.#filter = filter;
    this.#since = since;
  }

  /** @param onEnd called once */
  stream(onEnd: () => void): ReadableStream<Uint8Array> {
    let ended = false;
    const { closing } = this.#account;
    const stop = () => this.#ends.abort();
    const end = () => {
      if (ended) return;
      ended = true;
      closing.removeEventListener("abort", stop);
      stop();
      onEnd();
    };
    if (closing.aborted) stop();
    else closing.addEventListener("abort", stop, { once: true });
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const beat = setInterval(() => {
          // Only into an empty queue: whoever doesn't read gets no pile of heartbeats.
          if ((controller.desiredSize ?? 0) >= 0) controller.enqueue(this.#encoder.encode(":\n\n"));
        }, HEARTBEAT_MS);
        let text: string | null;
        try {
          text = await this.#next();
        } catch (thrown) {
          text = frame("cut", shownError(thrown).toBody());
          this.#ends.abort();
        } finally {
          clearInterval(beat);
        }
        if (ended) return;
        if (text !== null) controller.enqueue(this.#encoder.encode(text));
        if (this.#ends.signal.aborted) {
          end();
          controller.close();
        }
      },
      cancel: end,
    }, { highWaterMark: 0 });
  }

  /** What is to be sent next; null when the stream ends. @throws what ends it for good */
  async #next(): Promise<string | null> {
    while (!this.#ends.signal.aborted) {
      // Each time anew: grants run out, and the daemon replaces them.
      this.#account.authority.require("matrix/read");
      try {
        const text = await this.#poll();
        this.#failures = 0;
        this.#account.authority.require("matrix/read");
        return text;
      } catch (thrown) {
        if (this.#ends.signal.aborted) return null;
        if (!isPassing(thrown)) throw thrown;
        await this.#pause(thrown);
      }
    }
    return null;
  }

  async #poll(): Promise<string> {
    if (!this.#begun) {
      if (this.#since === null) this.#since = await this.#position();
      this.#begun = true;
      return frame("open", {}, this.#since);
    }
    const query = new URLSearchParams({
      since: this.#since!,
      filter: this.#filter,
      timeout: String(HEARTBEAT_MS),
      set_presence: "offline",
    });
    let answer: JsonObject;
    try {
      answer = await this.#sync(query);
    } catch (thrown) {
      const reason = resetReason(thrown);
      if (reason === null) throw thrown;
      this.#since = await this.#position();
      return frame("reset", { reason }, this.#since);
    }
    const next = answer["next_batch"];
    if (typeof next !== "string") throw badAnswer();
    this.#since = next;
    // The id comes last: a reader that breaks off before gets the same events again.
    return framesOf(answer) + frame("position", {}, next);
  }

  /** Where the account's history ends now, without reading it. */
  async #position(): Promise<string> {
    const nothing = { types: [] };
    const filter = JSON.stringify({
      presence: nothing,
      account_data: nothing,
      room: { rooms: [], timeline: { limit: 1 }, state: nothing, ephemeral: nothing },
    });
    const query = new URLSearchParams({ filter, timeout: "0", set_presence: "offline" });
    const { next_batch } = await this.#sync(query);
    if (typeof next_batch !== "string") throw badAnswer();
    return next_batch;
  }

  #sync(query: URLSearchParams): Promise<JsonObject> {
    return this.#account.json({ method: "GET", target: `${V3}/sync?${query}` }, this.#ends.signal);
  }

  async #pause(cause: unknown): Promise<void> {
    const asked = cause instanceof MatrixRefusal ? cause.retryAfterMs ?? 0 : 0;
    const most = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** this.#failures++);
    const ms = Math.min(Math.max(asked, most / 2 + Math.random() * most / 2), ASKED_MOST_MS);
    await new Promise<void>((resolve) => {
      const { signal } = this.#ends;
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
    });
  }
}

function badAnswer(): ProxyError {
  return new ProxyError("bad-upstream-response", "Cannot follow: the answer has no `next_batch`", {
    status: 502,
  });
}

/** Why nothing can be said of what happened since; null: it can, another time. */
function resetReason(thrown: unknown): string | null {
  if (!(thrown instanceof ProxyError)) return null;
  if (thrown.code === "too-large") return "too much happened since";
  // From another account, or made up.
  return thrown instanceof MatrixRefusal && thrown.status === 400
    ? "the position is unknown to the homeserver"
    : null;
}

/** Whether asking again may help. */
function isPassing(thrown: unknown): boolean {
  return thrown instanceof ProxyError
    ? thrown.status === 429 || (thrown.status >= 500 && thrown.status !== 501)
    : /connection|closed|reset|pipe/i.test(messageOf(thrown));
}

function framesOf(answer: JsonObject): string {
  const rooms = isObject(answer["rooms"]) ? answer["rooms"] : {};
  let text = "";
  for (const [room, joined] of entries(rooms["join"])) {
    const timeline = isObject(joined["timeline"]) ? joined["timeline"] : {};
    if (timeline["limited"] === true) text += frame("gap", { room });
    for (const event of [...eventsOf(joined["state"]), ...eventsOf(timeline)]) {
      text += frame("event", { room, event });
    }
  }
  for (const [room, invited] of entries(rooms["invite"])) {
    text += frame("invite", { room, state: eventsOf(invited["invite_state"]) });
  }
  for (const [room, left] of entries(rooms["leave"])) {
    for (const event of eventsOf(left["timeline"])) text += frame("event", { room, event });
    text += frame("leave", { room });
  }
  return text;
}

function entries(value: unknown): [string, JsonObject][] {
  return Object.entries(isObject(value) ? value : {}).filter((entry): entry is [
    string,
    JsonObject,
  ] => isObject(entry[1]));
}

function eventsOf(value: unknown): unknown[] {
  const events = isObject(value) ? value["events"] : undefined;
  return Array.isArray(events) ? events : [];
}

function frame(event: string, data: unknown, id?: string): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n` +
    (id === undefined ? "\n" : `id: ${idOf(id)}\n\n`);
}

/** A homeserver's token on one line: another line would be another field. */
function idOf(token: string): string {
  return token.replace(/[\r\n\0]/g, "");
}
