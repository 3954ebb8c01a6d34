// SPDX-License-Identifier: Apache-2.0

/** The last line of `observe`: who has the keyboard, who watches, and what just happened. */
import type { ObserveMode } from "../../observe/api.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { Watchers } from "./stream.ts";

export interface Standing {
  /** `agent/scribe`. */
  readonly name: string;
  readonly mode: ObserveMode;
  /** `id` of this watcher; null: there is no connection. */
  readonly self: string | null;
  readonly writer: string | null;
  readonly watchers: Watchers;
}

const MAX_NAMES = 3;

/** `operator` of a user id, with the machine behind it that the person came from. */
export function personOf(who: string): string {
  const [, person, from = ""] = /^@([^:]+):\S*( \(from [^)]*\))?$/.exec(who) ?? [];
  return neutraliseLine(person === undefined ? who : person + from);
}

export function keyboardOf({ mode, self, writer, watchers }: Standing): string {
  if (self === null) return "not connected";
  if (writer !== null && writer === self) return "you have the keyboard";
  const who = watchers.find(({ id }) => id === writer)?.who;
  const theirs = writer === null ? "" : `${personOf(who ?? "somebody")} has the keyboard`;
  if (mode === "readonly") return theirs === "" ? "you watch" : `you watch, ${theirs}`;
  return theirs === "" ? "type to take the keyboard" : theirs;
}

function othersOf({ self, watchers }: Standing): string {
  const others = watchers.filter(({ id }) => id !== self).map(({ who }) => personOf(who));
  if (others.length === 0) return "";
  const named = others.slice(0, MAX_NAMES).join(", ");
  const rest = others.length - MAX_NAMES;
  return ` · also here: ${named}${rest > 0 ? ` and ${rest} more` : ""}`;
}

/**
 * @param note what just happened; null: nothing
 * @returns `width` columns in inverse video
 */
export function statusLine(standing: Standing, note: string | null, width: number): string {
  const whose = keyboardOf(standing);
  const full = ` ${standing.name} · ${whose} · ${note ?? ""}`;
  // What happened is more than who could be seen before.
  const left = note === null
    ? ` ${standing.name} · ${whose}${othersOf(standing)}`
    : full.length < width
    ? full
    : ` ${standing.name} · ${note}`;
  const right = "ctrl-] ? for help ";
  // One column each: what is wider, or joins, would move what follows.
  const plain = [...neutraliseLine(left)].map((char) => char <= "~" || char === "·" ? char : "?");
  const room = Math.max(0, width - right.length);
  const text = plain.length + 1 <= room
    ? plain.join("").padEnd(room) + right
    : plain.slice(0, width).join("").padEnd(width);
  return `\x1b[7m${text.slice(0, width)}`;
}
