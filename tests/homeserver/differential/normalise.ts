// SPDX-License-Identifier: Apache-2.0

/**
 * Makes answers of two homeservers comparable: what each makes up (ids, tokens, times) becomes a name by order of
 * appearance, what has no order is sorted, and empty means the same as absent where the specification says so.
 */
import type { Exchange } from "../conformance/world.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Keys whose values are made up by a homeserver. */
const MADE_UP: ReadonlySet<string> = new Set([
  "access_token",
  "age",
  "creation_ts",
  "end",
  "expires_in_ms",
  "filter_id",
  "last_active_ago",
  "last_seen_ip",
  "last_seen_ts",
  "last_seen_user_agent",
  "nonce",
  "next_batch",
  "next_token",
  "origin_server_ts",
  "prev_batch",
  "rank",
  "session",
  "start",
  "ts",
]);

/** Words for people differ, errcodes don't. */
const DROPPED: ReadonlySet<string> = new Set(["error", "age_ts", "unstable_features"]);

/** Copies outside of `unsigned` that Synapse gives clients of 2015. */
const LEGACY: ReadonlySet<string> = new Set([
  "age",
  "invite_room_state",
  "prev_content",
  "redacted_because",
  "replaces_state",
  "user_id",
]);

const STRIPPED: ReadonlySet<string> = new Set(["content", "sender", "state_key", "type"]);

/** Lists whose order the specification leaves open, by key. */
const UNORDERED: ReadonlySet<string> = new Set([
  "aliases",
  "devices",
  "flows",
  "invite_state",
  "joined_rooms",
  "knock_state",
  "m.heroes",
  "servers",
  "state",
  "account_data",
  "to_device",
  "versions",
]);

/** Whole answers that are lists or hold lists without an order, by path. */
const UNORDERED_PATHS = [/\/state$/, /\/members(\?|$)/, /\/devices$/];

const ID = /[!$][A-Za-z0-9_\-+/=]{15,}(:[a-z0-9.:]+)?/g;
const MXC = /mxc:\/\/[^/\s]+\/[A-Za-z0-9_-]{15,}/g;

/** One scenario's ids by order of appearance. */
export class Names {
  readonly #known: Map<string, string>;
  readonly #counts = new Map<string, number>();
  readonly #serverName: string;

  /** @param given names that the scenario itself gave: localparts, aliases, devices */
  constructor(given: ReadonlyMap<string, string>, serverName: string) {
    this.#known = new Map(given);
    this.#serverName = serverName;
  }

  /** Every id in a text replaced. */
  text(text: string): string {
    const named = text.replaceAll(ID, (id) => this.#name(id)).replaceAll(
      MXC,
      (id) => this.#name(id),
    );
    return this.#given(named);
  }

  /** The same for what must be put into an order first: all unknown ids look alike. */
  masked(text: string): string {
    const mask = (id: string) => this.#known.get(id) ?? "<id>";
    return this.#given(text.replaceAll(ID, mask).replaceAll(MXC, mask));
  }

  #given(text: string): string {
    let out = text;
    // Longest first: a name may be another's beginning.
    const known = [...this.#known].sort(([a], [b]) => b.length - a.length);
    for (const [real, name] of known) out = out.replaceAll(real, name);
    return out.replaceAll(this.#serverName, "example.test");
  }

  #name(id: string): string {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const kind = { "!": "room", "$": "event", m: "media" }[id[0]!] ?? "id";
    const number = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, number);
    const name = `<${kind} ${number}>`;
    this.#known.set(id, name);
    return name;
  }
}

/** @returns the exchange as it would be on any homeserver that answers alike */
export function normalise(exchange: Exchange, names: Names): Exchange {
  const path = names.text(decode(exchange.path))
    .replaceAll(/([?&](?:from|to|since|filter|ts)=)(?!\{)[^&]*/g, "$1<made up>")
    .replaceAll(/(\/filter\/)[^/?]+/g, "$1<made up>")
    .replaceAll(/([?&]token=)[^&]*/g, "$1<made up>");
  const unordered = UNORDERED_PATHS.some((pattern) => pattern.test(path.replace(/\?.*/, "")));
  const sparse = /\/v3\/(sync|search)(\?|$)/.test(path);
  const body = value(exchange.body as Json, { names, key: "", unordered, sparse });
  return { ...exchange, path, body };
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

interface Place {
  readonly names: Names;
  readonly key: string;
  /** Whether lists here have no order. */
  readonly unordered: boolean;
  /** Whether events here are stripped ones. */
  readonly stripped?: boolean;
  /** Whether empty is the same as absent here. */
  readonly sparse: boolean;
}

function value(json: Json, place: Place): Json {
  if (MADE_UP.has(place.key) && typeof json !== "object") return "<made up>";
  if (MADE_UP.has(place.key) && json === null) return "<made up>";
  if (typeof json === "string") return place.names.text(json);
  if (json === null || typeof json !== "object") return json;
  if (Array.isArray(json)) return list(json, place);
  const out: Record<string, Json> = {};
  const stripped = place.stripped === true && "sender" in json;
  for (const [key, inner] of byMasked(Object.entries(json), ([key]) => place.names.masked(key))) {
    if (DROPPED.has(key) || (LEGACY.has(key) && "sender" in json)) continue;
    // One's own membership may come whole there, where a stripped event would do.
    if (stripped && !STRIPPED.has(key)) continue;
    const unordered = UNORDERED.has(key) || (place.unordered && key !== "timeline");
    const name = place.names.text(key);
    const made = value(inner, {
      ...place,
      key,
      unordered,
      stripped: place.stripped === true || /^(invite|knock)_state$/.test(key),
    });
    if (!place.sparse || !isEmpty(made)) out[name] = made;
  }
  return out;
}

function list(items: readonly Json[], place: Place): Json {
  const ordered = place.unordered
    ? byMasked(items, (item) => place.names.masked(stable(item)))
    : items;
  return ordered.map((item) => value(item, place));
}

function byMasked<T>(items: readonly T[], key: (item: T) => string): T[] {
  const keyed = items.map((item) => [key(item), item] as const);
  return keyed.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0).map(([, item]) => item);
}

/** What an item is sorted by: its identifying fields first, nothing that a homeserver makes up. */
function stable(json: Json): string {
  if (json === null || typeof json !== "object" || Array.isArray(json)) return JSON.stringify(json);
  const { type = "", state_key = "", sender = "", content = "" } = json as Record<string, Json>;
  const rest = Object.entries(json).filter(([key, inner]) =>
    typeof inner === "string" && !MADE_UP.has(key) && key !== "event_id"
  ).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([type, state_key, sender, content, rest]);
}

function isEmpty(json: Json): boolean {
  return json === null || (typeof json === "object" && Object.keys(json).length === 0);
}
