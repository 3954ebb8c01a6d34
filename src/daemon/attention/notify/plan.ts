// SPDX-License-Identifier: Apache-2.0

/**
 * Of which agents one target is to be told, and when. Pure. An agent that needs somebody is told of once: not again for
 * what flickers, nor because a daemon or a relay was killed meanwhile.
 */
import { matchGlob } from "../../../lib/glob/mod.ts";
import { accountOf } from "../../account.ts";
import type { Tracked } from "../tracker.ts";
import { quietForMs } from "./quiet.ts";
import type { NotifyTarget, Told } from "./types.ts";

/** What was told is forgotten when the agent was in another state for so long, or somebody answered it. */
export const SETTLE_MS = 30_000;
/** Another question of the same agent is told so much later than the last. */
export const AGAIN_MS = 60_000;
/** Whoever types there needs no message. */
const TYPING_MS = 30_000;
/** Agents that come within it are one message. */
export const GATHER_MS = 3_000;
/** Between two messages. */
export const BETWEEN_MS = 30_000;

export interface Candidate extends Tracked {
  readonly template: string;
  readonly room: string | null;
}

/** What one target remembers. `otherSince` is of this life of the daemon only. */
export interface Memory extends Told {
  otherSince: number | null;
}

export interface Plan {
  /** Agents that are due now. */
  readonly due: readonly Candidate[];
  /** Told no more. */
  readonly forget: readonly string[];
  /** When to look again if nothing happens; null: never. */
  readonly wake: number | null;
}

export function matches(
  target: Pick<NotifyTarget, "agents" | "templates" | "rooms">,
  { principal, template, room }: Pick<Candidate, "principal" | "template" | "room">,
): boolean {
  const { agents, templates, rooms } = target;
  const account = accountOf(principal);
  return (agents?.some((glob) => matchGlob(glob, account)) ?? true) &&
    (templates?.some((glob) => matchGlob(glob, template)) ?? true) &&
    (rooms?.includes(room ?? "") ?? true);
}

export function plan(
  target: NotifyTarget,
  candidates: Iterable<Candidate>,
  told: Map<string, Memory>,
  now: number,
): Plan {
  const due: Candidate[] = [];
  const forget: string[] = [];
  let wake: number | null = null;
  const wakeAt = (at: number) => wake = wake === null ? at : Math.min(wake, at);
  const quiet = quietForMs(target.quiet_hours, target.time_zone, now);
  for (const candidate of candidates) {
    if (!matches(target, candidate)) continue;
    const { principal } = candidate;
    const memory = told.get(principal);
    const kept = memory === undefined ? null : remember(memory, candidate, now);
    if (kept === null && memory !== undefined) forget.push(principal);
    if (kept !== null && kept.otherSince !== null) wakeAt(kept.otherSince + SETTLE_MS);
    const at = dueAt(target, candidate, kept);
    if (at === null) continue;
    if (at > now) wakeAt(at);
    else if (quiet > 0) wakeAt(now + quiet);
    else due.push(candidate);
  }
  return { due, forget, wake };
}

/** Null: it is forgotten. */
function remember(memory: Memory, { attention, typed }: Candidate, now: number): Memory | null {
  const { state, reason } = attention;
  // While nothing is heard, nothing is known: what was, is.
  if (state === memory.state || reason === "unheard") {
    if (state === memory.state) memory.otherSince = null;
    return memory;
  }
  if ((typed ?? 0) > memory.at) return null;
  memory.otherSince ??= now;
  return now - memory.otherSince >= SETTLE_MS ? null : memory;
}

function dueAt(
  { states, after_ms: after }: NotifyTarget,
  { attention, what, typed }: Candidate,
  memory: Memory | null,
): number | null {
  const { state, since, reason } = attention;
  if (!states.includes(state) || reason === "unheard" || reason === "not-running") return null;
  const isSame = memory !== null && memory.state === state;
  if (isSame && memory.what === what) return null;
  let at = since + after;
  if (isSame) at = Math.max(at, memory.at + AGAIN_MS);
  if (state === "waiting-input" && typed !== null) {
    at = Math.max(at, typed + Math.max(after, TYPING_MS));
  }
  return at;
}
