// SPDX-License-Identifier: Apache-2.0

/**
 * Whether a principal needs a person, from all that is known of it. Pure. An agent's own word counts more than what its
 * terminal looks like, until its terminal shows that the word is old.
 */
import type { PrincipalView } from "../api.ts";
import type { Attention } from "./api.ts";
import type { HeardActivity } from "./link.ts";

/** A word about itself is left alone by output for so long: programs write while they say it. */
export const SAID_HOLDS_MS = 30_000;
export const IDLE_AFTER_MS = 5 * 60_000;
/** Output that comes so soon after the bell belongs to it. */
const BELL_MS = 2_000;

export interface Said {
  readonly state: "working" | "waiting" | "idle";
  readonly message: string | null;
  readonly at: number;
}

export interface Facts {
  readonly phase: PrincipalView["phase"];
  readonly phaseSince: number;
  readonly exitCode: number | null;
  readonly message: string | null;
  readonly isCrashLoop: boolean;
  readonly isFrozen: boolean;
  /** Open questions about destinations, oldest first. */
  readonly asks: readonly { readonly since: number; readonly target: string }[];
  /** Open questions about tool calls, oldest first. */
  readonly calls: readonly { readonly since: number; readonly target: string }[];
  readonly said: Said | null;
  /** Null: its terminal is not heard. */
  readonly activity: HeardActivity | null;
  readonly idleAfterMs: number;
}

export interface Verdict {
  readonly state: Attention["state"];
  readonly reason: Attention["reason"];
  readonly since: number;
  readonly message: string | null;
  /** Tells one such state from the next: the same question drawn anew is the same. */
  readonly what: string;
  /** When time alone may change it. */
  readonly until: number | null;
}

export function decide(facts: Facts, now: number): Verdict {
  return ofLife(facts) ?? ofWord(facts, now) ?? ofTerminal(facts, now);
}

/** What is true whatever its terminal shows. */
function ofLife(facts: Facts): Verdict | null {
  const { phase, phaseSince: since, exitCode, message, asks, calls } = facts;
  const hasFailed = phase === "failed" || (phase === "backing-off" && exitCode !== 0) ||
    (phase === "exited" && exitCode !== null && exitCode !== 0);
  if (hasFailed) {
    const reason = facts.isCrashLoop ? "crash-loop" : "failed";
    const why = message ?? (exitCode === null ? null : `exit status ${exitCode}`);
    return verdict("failed", reason, since, why, `${exitCode} ${why}`);
  }
  const [first] = asks;
  if (first !== undefined) {
    const targets = [...new Set(asks.map(({ target }) => target))].join(", ");
    return verdict("waiting-approval", "egress-ask", first.since, targets, targets);
  }
  const [call] = calls;
  if (call !== undefined) {
    return verdict("waiting-approval", "tool-call", call.since, call.target, String(call.since));
  }
  if (phase === "starting") return verdict("working", "starting", since, null);
  // The launcher, or what it needs, is not known at the moment.
  if (phase === "pending") return verdict("idle", "unheard", since, message);
  if (phase !== "running") return verdict("idle", "not-running", since, message);
  return facts.isFrozen ? verdict("idle", "frozen", since, null) : null;
}

/** Null: it has said nothing, or nothing that still holds. */
function ofWord({ said, activity, idleAfterMs }: Facts, now: number): Verdict | null {
  if (said === null) return null;
  const lastOutput = activity?.last_output ?? 0;
  if (lastOutput >= said.at + SAID_HOLDS_MS) return null;
  // Somebody has answered, at the terminal.
  if (said.state === "waiting" && (activity?.typed ?? 0) > said.at) return null;
  const states = { working: "working", waiting: "waiting-input", idle: "idle" } as const;
  const at = `said ${said.at}`;
  const of = (until: number | null) =>
    verdict(states[said.state], "said", said.at, said.message, at, until);
  if (said.state !== "working") return of(null);
  // Nobody works for ever without a sign of it.
  const until = Math.max(said.at, lastOutput) + Math.max(idleAfterMs, SAID_HOLDS_MS);
  return now < until ? of(until) : null;
}

function ofTerminal(
  { phaseSince, activity, idleAfterMs }: Facts,
  now: number,
): Verdict {
  if (activity === null) return verdict("working", "unheard", phaseSince, null);
  const { looks, bell, quiet, last_output: lastOutput } = activity;
  if (looks?.means === "waiting") {
    return verdict("waiting-input", "question", looks.since, looks.line, plain(looks.line));
  }
  const last = lastOutput ?? phaseSince;
  if (bell !== null && quiet && last <= bell + BELL_MS) {
    return verdict("waiting-input", "bell", bell, activity.last_line || null, `bell ${bell}`);
  }
  if (looks !== null) return verdict("idle", "prompt", looks.since, null);
  const until = last + idleAfterMs;
  if (quiet && now >= until) return verdict("idle", "quiet", last, null);
  return verdict("working", "output", phaseSince, null, "", quiet ? until : null);
}

/** Numbers that count up make no other question of it. */
function plain(line: string): string {
  return line.replace(/\d+/g, "0");
}

function verdict(
  state: Verdict["state"],
  reason: Verdict["reason"],
  since: number,
  message: string | null,
  what = "",
  until: number | null = null,
): Verdict {
  return { state, reason, since, message, what, until };
}
