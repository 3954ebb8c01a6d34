// SPDX-License-Identifier: Apache-2.0

/** What people read, from what the daemon says. */
import type { Agent } from "./api.ts";

/** `bureau/fleet/dev/agent/scribe` is `agent/scribe` here. */
export function shortName(localpart: string): string {
  const [, rest] = /^.+?\/fleet\/[^/]+\/(.+)$/.exec(localpart) ?? [];
  return rest ?? localpart;
}

/** `@operator:bureau.local` is `operator`, with the machine behind it that the person came from. */
export function personName(who: string): string {
  const [, person, from = ""] = /^@([^:]+):\S*( \(from [^)]*\))?$/.exec(who) ?? [];
  return person === undefined ? who : person + from;
}

export function bytes(count: number | null): string | null {
  if (count === null) return null;
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 10 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function ago(ms: number, now = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `1:02:03`. */
export function clockTime(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours, ...rest] = parts;
  const two = (value: number) => String(value).padStart(2, "0");
  return hours === 0 ? `${rest[0]}:${two(rest[1]!)}` : `${hours}:${two(rest[0]!)}:${two(rest[1]!)}`;
}

export interface State {
  readonly text: string;
  readonly tone: "" | "good" | "warn" | "bad";
  /** Less is more urgent. */
  readonly rank: number;
}

const ATTENTION = {
  failed: { text: "failed", tone: "bad", rank: 0 },
  "waiting-approval": { text: "waits for approval", tone: "warn", rank: 1 },
  "waiting-input": { text: "waits for input", tone: "warn", rank: 2 },
  working: { text: "working", tone: "good", rank: 4 },
  idle: { text: "idle", tone: "", rank: 5 },
} as const;

/** @param asks whether it waits for an answer about a destination */
export function stateOf(agent: Agent, asks: boolean): State {
  if (agent.attention !== undefined) return ATTENTION[agent.attention.state];
  if (agent.phase === "failed") return ATTENTION.failed;
  if (asks) return ATTENTION["waiting-approval"];
  if (agent.frozen) return { text: "frozen", tone: "warn", rank: 3 };
  if (agent.phase === "running") return { text: "running", tone: "good", rank: 4 };
  return { text: agent.phase, tone: agent.phase === "backing-off" ? "bad" : "", rank: 5 };
}
