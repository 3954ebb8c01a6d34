// SPDX-License-Identifier: Apache-2.0
import { parseEntity, parseUserId } from "../lib/ref/mod.ts";
import { noticePart, type PrincipalStatus } from "../lib/schema/mod.ts";
import type { PrincipalView } from "./api.ts";
import type { Content } from "../messaging/mod.ts";
import type { Report } from "./publisher.ts";
import { CRASH_LOOP, type Desired, isBroken, type Memory, restartDelayMs } from "./reconcile.ts";
import type { Summary } from "./view.ts";

/** Longest text taken over from elsewhere into a room. */
const MAX_TEXT = 500;

/**
 * The event and, where people should hear of it, the sentence.
 * @param published what the room says now
 * @returns null when there is nothing to tell
 */
export function buildReport(
  userId: string,
  desired: Desired,
  summary: Summary,
  memory: Memory,
  since: number,
  published: Content | null,
  isolation: "standard" | "none" = "standard",
  { health, rolled_back: rolledBack }: Pick<PrincipalView, "health" | "rolled_back"> = {},
): Report | null {
  const { phase } = summary;
  if (phase === "pending" || phase === "stopping") return null;
  // Never heard of and not wanted: not worth an event.
  if (phase === "stopped" && published === null) return null;
  if (phase === "stopped" && published?.["phase"] === "stopped") return null;
  const status: PrincipalStatus = {
    principal: userId,
    phase,
    since: Math.trunc(since),
    restarts: memory.restarts,
    ...(summary.exitCode === null ? {} : { exit_code: summary.exitCode }),
    ...(summary.message === null ? {} : { message: clean(summary.message) }),
    ...(summary.hint === null ? {} : { hint: clean(summary.hint) }),
    issued_at: Math.trunc(desired.issuedAt),
    ...(phase === "failed" && isBroken(desired, memory) ? { reason: CRASH_LOOP } : {}),
    ...(memory.completedIssuedAt === null
      ? {}
      : { completed_issued_at: Math.trunc(memory.completedIssuedAt) }),
    ...(health === undefined || phase !== "running" ? {} : { health: health.state }),
    ...(rolledBack === undefined || phase !== "running" ? {} : { rolled_back: clean(rolledBack) }),
    ...(isolation === "none" ? { isolation } : {}),
  };
  const notice = isolation === "none" && phase === "running"
    ? openNotice(userId, status, published)
    : status.rolled_back !== undefined && published?.["rolled_back"] !== status.rolled_back
    ? rollbackNotice(userId, status.rolled_back)
    : noticeOf(userId, summary, memory, published);
  return { userId, status, notice };
}

/** What the sentence about a status is for programs. */
export function partOf(status: PrincipalStatus): Readonly<Record<string, unknown>> {
  const { phase, exit_code: code, message, hint, reason, restarts, since } = status;
  const { rolled_back: rolledBack } = status;
  const principal = status.principal.slice(1, status.principal.lastIndexOf(":"));
  switch (phase) {
    case "running":
      if (status.isolation === "none" || rolledBack === undefined) {
        return noticePart("principal_unisolated", { principal, since });
      }
      return noticePart("health_check", { principal, outcome: "rolled_back", error: rolledBack });
    case "failed":
      return noticePart("principal_start_failed", {
        principal,
        error: message ?? "",
        hint,
        reason,
      });
    case "exited":
    case "backing-off":
      return noticePart("sandbox_exited", {
        principal,
        exit_code: code ?? undefined,
        exit_description: message,
        restarting: phase === "backing-off",
        restarts,
      });
    default:
      return {};
  }
}

/** Every start without a sandbox is told, once. */
function openNotice(
  userId: string,
  { since }: PrincipalStatus,
  published: Content | null,
): string | null {
  if (published?.["phase"] === "running" && published["since"] === since) return null;
  return `${
    nameOf(userId)
  } runs WITHOUT ISOLATION: it can read and write whatever this machine's launcher can, ` +
    "by an exception in the launcher's policy (passthrough)";
}

function rollbackNotice(userId: string, why: string): string {
  return `${
    nameOf(userId)
  } runs as it was when it last worked, for its new version does not: ${why}. ` +
    "The new one is not tried again until its assignment changes";
}

function noticeOf(
  userId: string,
  { phase, exitCode, message, hint }: Summary,
  memory: Memory,
  published: Content | null,
): string | null {
  const name = nameOf(userId);
  const code = exitCode === null ? "" : ` with code ${exitCode}`;
  const why = message === null ? "" : `: ${clean(message)}`;
  switch (phase) {
    case "failed":
      // The same failure tried again is no news.
      if (published?.["phase"] === "failed" && published["message"] === clean(message ?? "")) {
        return null;
      }
      return `${name} failed${why}${hint === null ? "" : `. ${clean(hint)}`}`;
    case "exited":
      return `${name} ended${code}${why}`;
    case "backing-off": {
      // First, second, fourth, eighth … end in a row: a loop is told of, and doesn't fill the room.
      const n = memory.failures;
      if (n > 1 && (n & (n - 1)) !== 0) return null;
      const wait = Math.round(restartDelayMs(n) / 1000);
      const times = n > 1 ? ` (${n} times in a row)` : "";
      return `${name} ended${code}${times}${why}; it is started again in ${wait} s`;
    }
    default:
      return null;
  }
}

function nameOf(userId: string): string {
  try {
    return parseEntity(parseUserId(userId).localpart).account;
  } catch {
    return userId;
  }
}

/** One line of printable text: it may quote what an agent wrote. */
export function clean(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are exactly what is taken out
  const plain = text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ").toWellFormed().trim();
  return plain.length > MAX_TEXT ? plain.slice(0, MAX_TEXT - 1) + "…" : plain;
}
