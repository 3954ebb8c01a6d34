// SPDX-License-Identifier: Apache-2.0

/** What people write to decide an ask: a reaction, or a reply to its message. */
import { MAX_TEMPORARY_MS, MIN_TEMPORARY_MS, type Scope, type Verdict } from "./types.ts";

export interface Answer {
  readonly verdict: Verdict;
  readonly scope: Scope;
}

const APPROVING: ReadonlySet<string> = new Set(["✅", "✔", "☑", "👍"]);
const DENYING: ReadonlySet<string> = new Set(["❌", "✖", "🚫", "👎"]);
/** Variation selectors and skin tones: the same sign in another dress. */
const DRESS = /[\u{fe0e}\u{fe0f}\u{1f3fb}-\u{1f3ff}]/gu;

/** A reaction decides this once; null for any other sign. */
export function readReaction(key: string): Answer | null {
  if (key.length > 16) return null;
  const plain = key.replace(DRESS, "");
  const verdict = APPROVING.has(plain) ? "approve" : DENYING.has(plain) ? "deny" : null;
  return verdict === null ? null : { verdict, scope: { kind: "once" } };
}

const WORDS: Readonly<Record<string, Verdict>> = {
  approve: "approve",
  allow: "approve",
  yes: "approve",
  deny: "deny",
  refuse: "deny",
  no: "deny",
};

/**
 * `approve` or `deny`, then `once`, a time (`30m`, `1h`, `2d`), or `always`. Quotes of what is answered,
 * which clients put before the text, are passed over.
 * @returns null when it is no decision: people talk too
 */
export function readReply(body: string): Answer | null {
  if (body.length > 4096) return null;
  const own = body.split("\n").filter((line) => !line.startsWith(">")).join(" ").trim();
  const words = own.toLowerCase().split(/\s+/);
  const [first = "", second = "once", ...rest] = words[1] === "for"
    ? [words[0]!, ...words.slice(2)]
    : words;
  if (rest.length > 0 || !Object.hasOwn(WORDS, first)) return null;
  const scope = readScope(second);
  return scope === null ? null : { verdict: WORDS[first]!, scope };
}

/** `once`, `always`, or a time within what is allowed. */
export function readScope(text: string): Scope | null {
  if (text === "once") return { kind: "once" };
  if (text === "always") return { kind: "always" };
  const ms = readTime(text);
  return ms === null ? null : { kind: "for", ms };
}

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90m`, `1h`, `2d`: from one minute to seven days. */
export function readTime(text: string): number | null {
  const match = /^(\d{1,5})(m|h|d)$/.exec(text);
  if (match === null) return null;
  const ms = Number(match[1]) * UNITS[match[2]!]!;
  return ms >= MIN_TEMPORARY_MS && ms <= MAX_TEMPORARY_MS ? ms : null;
}
