// SPDX-License-Identifier: Apache-2.0

/**
 * What to do next about one principal, from what is wanted and what is there. Pure: no clock, no
 * input or output, and the same answer whatever order the news came in. Nothing but this principal's own
 * assignment resets its back-off or runs a completed one-shot again (W-14).
 */
import type { RestartPolicy } from "../lib/schema/events.ts";

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** What the operator's events say, already resolved and trusted. */
export interface Desired {
  /**
   * `hold`: what the events say can't be used; nothing is started and nothing is ended over it. `waiting`: its
   * start condition does not hold, which `problem` says.
   */
  readonly want: "running" | "stopped" | "absent" | "hold" | "waiting";
  readonly issuedAt: number;
  /** Changes with anything that needs a new cell: the assignment, its template, its credentials. */
  readonly generation: string;
  /** Digests by which the launcher may know the credentials; null when there are none. */
  readonly credentials: readonly string[] | null;
  readonly restartPolicy: RestartPolicy;
  /** For its polite end where it is to be stopped; absent: `GRACE_MS`. */
  readonly graceMs?: number;
  /** Why it can't be started although it should, or why it is held. */
  readonly problem: Problem | null;
  /** Why it is not started now, though what runs stays: a service role that nobody fills, say. Absent: nothing. */
  readonly held?: Problem;
}

/** What the launcher says. */
export interface Cell {
  readonly phase: "starting" | "running" | "stopping" | "exited" | "failed";
  readonly issuedAt: number;
  readonly credentialsDigest: string | null;
  readonly startedAt: number;
  readonly exit: { readonly code: number; readonly at: number } | null;
  readonly message: string | null;
}

export interface Actual {
  /** False while the launcher is away: nothing is known, so nothing is done. */
  readonly known: boolean;
  readonly cell: Cell | null;
}

/** What the daemon remembers between two passes. Losing it is safe. */
export interface Memory {
  readonly generation: string | null;
  /** Ends and refusals in a row. */
  readonly failures: number;
  /** No start before this (ms since the epoch). */
  readonly retryAt: number | null;
  /** `startedAt` of the last cell whose end was counted. */
  readonly counted: number | null;
  readonly restarts: number;
  /** Generation that the launcher confirmed for the running cell. */
  readonly confirmed: string | null;
  /** Generation that the launcher would not put into the running cell. */
  readonly needsReplacement: string | null;
  /** The last refusal of a start. */
  readonly refusal: Problem | null;
  /** Assignment under which it ran to its end, also from the published status of an earlier life. */
  readonly completedIssuedAt: number | null;
  /** Since when the start condition of what runs does not hold. */
  readonly unmetAt: number | null;
  /** When it crashed lately (ms since the epoch), oldest first. */
  readonly crashes: readonly number[];
  /** Assignment under which it crashed too often to be started again; also from the published status. */
  readonly brokenIssuedAt: number | null;
}

export const noMemory: Memory = {
  generation: null,
  failures: 0,
  retryAt: null,
  counted: null,
  restarts: 0,
  confirmed: null,
  needsReplacement: null,
  refusal: null,
  completedIssuedAt: null,
  unmetAt: null,
  crashes: [],
  brokenIssuedAt: null,
};

export type Action =
  /** Ask the launcher for a cell; of a running one, to be what the assignment and the credentials say. */
  | { readonly type: "create" }
  | { readonly type: "destroy"; readonly graceMs: number }
  /** Look again at this time; nothing else would call. */
  | { readonly type: "wake"; readonly at: number };

export interface Plan {
  readonly memory: Memory;
  /** At most one; the next pass sees its effect. */
  readonly action: Action | null;
}

/** How long a principal may take to end politely. */
export const GRACE_MS = 5_000;
/** The same where its start condition ceased to hold; a one-shot has as long to end by itself before that. */
export const UNMET_GRACE_MS = 10_000;
/** After this long of running, earlier failures are forgotten. */
export const STABLE_MS = 60_000;
/** After so many crashes in so much time it is left alone. An end with code 0 is no crash. */
export const CRASH_LOOP_ENDS = 10;
export const CRASH_LOOP_MS = 10 * 60_000;
/** `reason` of the published status then. */
export const CRASH_LOOP = "crash-loop";
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 30_000;

/** 1 s, doubling to 30 s. */
export function restartDelayMs(failures: number): number {
  return Math.min(BACKOFF_FIRST_MS * 2 ** Math.max(0, failures - 1), BACKOFF_MAX_MS);
}

export function reconcile(
  desired: Desired,
  actual: Actual,
  previous: Memory,
  now: number,
): Plan {
  const memory = forGeneration(desired, previous);
  if (!actual.known || desired.want === "hold") return { memory, action: null };
  const { cell } = actual;
  if (desired.want === "waiting") return wait(desired, cell, memory, now);
  if (memory.unmetAt !== null) return reconcile(desired, actual, { ...memory, unmetAt: null }, now);
  if (desired.want === "running") return run(desired, cell, memory, now);
  // Wanted gone. A cell that is being ended already is left to end.
  if (cell === null || cell.phase === "stopping") return { memory, action: null };
  return {
    memory,
    action: { type: "destroy", graceMs: isLive(cell) ? desired.graceMs ?? GRACE_MS : 0 },
  };
}

export function isLive(cell: Cell): boolean {
  return cell.phase === "starting" || cell.phase === "running" || cell.phase === "stopping";
}

/** Events that can't be used for a while are no edit: with them back, everything is as it was. */
function forGeneration(desired: Desired, memory: Memory): Memory {
  // Waiting is a pause: a condition that comes and goes is no way around a back-off.
  if (desired.want === "hold" || desired.want === "waiting") return memory;
  if (desired.problem !== null) return memory;
  if (memory.generation === desired.generation) return memory;
  return {
    ...noMemory,
    generation: desired.generation,
    completedIssuedAt: memory.completedIssuedAt,
    // An end that was counted stays counted: a new assignment is no second exit of the old cell.
    counted: memory.counted,
    // What an earlier life published stands; what was edited in this one is worth another try.
    brokenIssuedAt: memory.generation === null ? memory.brokenIssuedAt : null,
  };
}

function run(desired: Desired, cell: Cell | null, memory: Memory, now: number): Plan {
  if (cell === null) return start(desired, memory, now);
  switch (cell.phase) {
    case "stopping":
      return { memory, action: null };
    case "starting":
    case "running":
      return keep(desired, cell, memory, now);
    case "exited":
    case "failed":
      return ended(desired, cell, memory, now);
  }
}

/** Not wanted until its start condition holds. */
function wait(desired: Desired, cell: Cell | null, memory: Memory, now: number): Plan {
  if (cell === null) return { memory: { ...memory, unmetAt: null }, action: null };
  if (cell.phase === "stopping") return { memory, action: null };
  if (!isLive(cell)) {
    // How it ended counts, though its own last act may be why it would not be started now.
    const isOfThis = cell.issuedAt === desired.issuedAt ||
      (memory.confirmed !== null && memory.confirmed === memory.generation);
    const counted = isOfThis ? countEnd(desired, cell, memory, now) : memory;
    return { memory: { ...counted, unmetAt: null }, action: null };
  }
  const unmetAt = memory.unmetAt ?? now;
  const end: Action = { type: "destroy", graceMs: UNMET_GRACE_MS };
  if (desired.restartPolicy === "always") return { memory: { ...memory, unmetAt }, action: end };
  const until = unmetAt + UNMET_GRACE_MS;
  const action: Action = now < until ? { type: "wake", at: until } : end;
  return { memory: { ...memory, unmetAt }, action };
}

function start(desired: Desired, memory: Memory, now: number): Plan {
  if (desired.problem !== null || desired.held !== undefined) return { memory, action: null };
  if (isCompleted(desired, memory) || isBroken(desired, memory)) return { memory, action: null };
  if (memory.retryAt !== null && memory.retryAt > now) {
    return { memory, action: { type: "wake", at: memory.retryAt } };
  }
  return { memory, action: { type: "create" } };
}

/** One-shots only: with `always` there is no end that completes. */
function isCompleted(desired: Desired, memory: Memory): boolean {
  return desired.restartPolicy !== "always" && memory.completedIssuedAt === desired.issuedAt;
}

/** It crashed so often that it is not started again before somebody edits what is wanted of it. */
export function isBroken(desired: Desired, memory: Memory): boolean {
  return memory.brokenIssuedAt !== null && memory.brokenIssuedAt === desired.issuedAt;
}

function keep(desired: Desired, cell: Cell, memory: Memory, now: number): Plan {
  // A template that can't be resolved at the moment is no reason to end what runs.
  if (desired.problem !== null) return { memory, action: null };
  const isOther = !sameCredentials(desired, cell);
  // What the launcher took and did not make so, it will not make so when asked again.
  const isFinal = cell.phase !== "running" || memory.confirmed === desired.generation;
  if (
    memory.needsReplacement === desired.generation ||
    (isOther && (isFinal || desired.credentials === null))
  ) {
    return { memory, action: { type: "destroy", graceMs: GRACE_MS } };
  }
  if (isOther) {
    // Its proxy may go on with them, its sandbox with it.
    if (memory.retryAt !== null && memory.retryAt > now) {
      return { memory, action: { type: "wake", at: memory.retryAt } };
    }
    return { memory, action: { type: "create" } };
  }
  if (cell.issuedAt !== desired.issuedAt && memory.confirmed !== desired.generation) {
    if (memory.retryAt !== null && memory.retryAt > now) {
      return { memory, action: { type: "wake", at: memory.retryAt } };
    }
    return { memory, action: { type: "create" } };
  }
  if (memory.failures === 0 || cell.phase !== "running") return { memory, action: null };
  const stableAt = cell.startedAt + STABLE_MS;
  if (now < stableAt) return { memory, action: { type: "wake", at: stableAt } };
  return { memory: { ...memory, failures: 0, retryAt: null }, action: null };
}

function sameCredentials(desired: Desired, cell: Cell): boolean {
  if (desired.credentials === null) return cell.credentialsDigest === null;
  return cell.credentialsDigest !== null && desired.credentials.includes(cell.credentialsDigest);
}

function ended(desired: Desired, cell: Cell, before: Memory, now: number): Plan {
  const clear: Action = { type: "destroy", graceMs: 0 };
  const isOfThis = cell.issuedAt === desired.issuedAt || before.confirmed === desired.generation;
  const memory = isOfThis ? countEnd(desired, cell, before, now) : before;
  const isOver = isOfThis && (isCompleted(desired, memory) || isBroken(desired, memory));
  if (isOver || desired.problem !== null || desired.held !== undefined) {
    return { memory, action: null };
  }
  // The end of something older: what is wanted now starts as soon as it is out of the way.
  if (!isOfThis || !sameCredentials(desired, cell)) {
    return { memory: { ...memory, retryAt: null }, action: clear };
  }
  if (memory.retryAt !== null && memory.retryAt > now) {
    return { memory, action: { type: "wake", at: memory.retryAt } };
  }
  return { memory, action: clear };
}

/** Counts each end once, however often it is looked at. */
function countEnd(desired: Desired, cell: Cell, memory: Memory, now: number): Memory {
  const code = cell.exit?.code ?? null;
  const completed = desired.restartPolicy === "never" ||
    (desired.restartPolicy === "on-failure" && cell.phase === "exited" && code === 0);
  if (completed) return { ...memory, completedIssuedAt: desired.issuedAt, counted: cell.startedAt };
  if (memory.counted === cell.startedAt) return memory;
  const endedAt = cell.exit?.at ?? now;
  const failures = endedAt - cell.startedAt >= STABLE_MS ? 1 : memory.failures + 1;
  const lately = memory.crashes.filter((at) => endedAt - at < CRASH_LOOP_MS);
  const crashes = code === 0 ? lately : [...lately, endedAt];
  return {
    ...memory,
    crashes,
    ...(crashes.length >= CRASH_LOOP_ENDS ? { brokenIssuedAt: desired.issuedAt } : {}),
    counted: cell.startedAt,
    failures,
    restarts: memory.restarts + 1,
    // From now, not from the end: a daemon that was away must not start a whole machine at once.
    retryAt: now + restartDelayMs(failures),
    refusal: null,
  };
}

/** With what an earlier life of the daemon published about this principal. */
export function remembered(
  memory: Memory,
  published: Readonly<Record<string, unknown>> | null,
): Memory {
  if (published === null) return memory;
  const issuedAt = numberIn(published, "issued_at");
  const completed = numberIn(published, "completed_issued_at") ??
    (published["phase"] === "exited" ? issuedAt : null);
  return {
    ...memory,
    completedIssuedAt: memory.completedIssuedAt ?? completed,
    brokenIssuedAt: memory.generation === null && published["reason"] === CRASH_LOOP
      ? issuedAt
      : memory.brokenIssuedAt,
  };
}

function numberIn(content: Readonly<Record<string, unknown>>, name: string): number | null {
  const value = content[name];
  return typeof value === "number" ? value : null;
}

/** After the launcher accepted a `create`. */
export function afterCreated(memory: Memory): Memory {
  return {
    ...memory,
    confirmed: memory.generation,
    needsReplacement: null,
    refusal: null,
    retryAt: null,
  };
}

/**
 * Whether a refused `create` means that what runs has to go: another spec runs; or its credentials are others and were
 * refused, when the old ones may have been withdrawn.
 */
export function mustReplace(
  { code, status }: { readonly code: string; readonly status: number },
  desired: Desired,
  cell: Cell | null,
): boolean {
  if (code === "running" && status === 409) return true;
  return cell?.phase === "running" && !sameCredentials(desired, cell) &&
    (status === 403 || status === 422);
}

/** After a `create` that the launcher refused because what runs can't become that. */
export function afterConflict(memory: Memory): Memory {
  return { ...memory, needsReplacement: memory.generation };
}

/** After a `create` that failed otherwise. It is tried again: what was missing may be mended meanwhile. */
export function afterRefused(memory: Memory, refusal: Problem, now: number): Memory {
  const failures = memory.failures + 1;
  return { ...memory, failures, refusal, retryAt: now + restartDelayMs(failures) };
}

/** After a `destroy`: whatever was known about that cell is void. */
export function afterDestroyed(memory: Memory): Memory {
  return { ...memory, confirmed: null, needsReplacement: null };
}
