// SPDX-License-Identifier: Apache-2.0

/** What a person is told about one principal, from the same three values that `reconcile` looks at. */
import type { PrincipalView } from "./api.ts";
import {
  type Actual,
  CRASH_LOOP_ENDS,
  CRASH_LOOP_MS,
  type Desired,
  isBroken,
  isLive,
  type Memory,
} from "./reconcile.ts";

export type ViewPhase = PrincipalView["phase"];

export interface Summary {
  readonly phase: ViewPhase;
  /** Null: since it was first seen so. */
  readonly since: number | null;
  readonly exitCode: number | null;
  readonly message: string | null;
  readonly hint: string | null;
}

/** In the words of an assignment. */
export function wanted({ want }: Desired, isLive: boolean): PrincipalView["desired"] {
  if (want === "waiting") return "running";
  return want === "hold" ? (isLive ? "running" : "absent") : want;
}

/** Problems that the next sync mends: nothing has failed. */
const PASSING: ReadonlySet<string> = new Set(["not-synced", "room-pending"]);

const CRASH_LOOP = {
  message: `it crashed ${CRASH_LOOP_ENDS} times in ${CRASH_LOOP_MS / 60_000} minutes: ` +
    "it is not started again",
  hint:
    "`bureau agent show` says how it ended; mend what it needs, then run `bureau agent create` " +
    "again: a new assignment is a new start",
};

export function summarise(desired: Desired, actual: Actual, memory: Memory, now: number): Summary {
  const { cell } = actual;
  const why = desired.problem ?? memory.refusal;
  const text = { message: why?.message ?? null, hint: why?.hint ?? null };
  const exitCode = cell?.exit?.code ?? null;
  if (!actual.known) {
    return {
      phase: "pending",
      since: null,
      exitCode: null,
      message: "the launcher is away",
      hint: "see `bureau status`",
    };
  }
  if (cell !== null && isLive(cell)) {
    const phase = cell.phase as "starting" | "running" | "stopping";
    return { phase, since: phase === "stopping" ? null : cell.startedAt, exitCode: null, ...text };
  }
  if (desired.want === "absent" || desired.want === "stopped") {
    return { phase: "stopped", since: null, exitCode, message: null, hint: null };
  }
  const completed = memory.completedIssuedAt === desired.issuedAt &&
    desired.restartPolicy !== "always";
  if (desired.want === "waiting" && !completed) {
    return { phase: "waiting", since: null, exitCode, ...text };
  }
  if (desired.problem !== null && PASSING.has(desired.problem.code)) {
    return { phase: "pending", since: null, exitCode, ...text };
  }
  if (desired.held !== undefined && !completed && !isBroken(desired, memory)) {
    const { message, hint = null } = desired.held;
    return { phase: "waiting", since: null, exitCode, message, hint };
  }
  if (why !== null && desired.want !== "waiting") {
    return { phase: "failed", since: null, exitCode, ...text };
  }
  if (isBroken(desired, memory)) return { phase: "failed", since: null, exitCode, ...CRASH_LOOP };
  if (cell !== null && (completed || memory.counted === cell.startedAt)) {
    const since = cell.exit?.at ?? cell.startedAt;
    const ended = cell.phase === "failed" ? "failed" : "exited";
    const phase = completed ? ended : "backing-off";
    return { phase, since, exitCode, message: cell.message, hint: null };
  }
  if (completed) {
    return { phase: "exited", since: null, exitCode: null, message: null, hint: null };
  }
  const waits = memory.retryAt !== null && memory.retryAt > now;
  return {
    phase: waits ? "backing-off" : "pending",
    since: null,
    exitCode: null,
    message: null,
    hint: null,
  };
}
