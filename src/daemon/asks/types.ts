// SPDX-License-Identifier: Apache-2.0

/** A destination that the egress policy leaves to a person, and what was decided about it. */
import type { Target } from "../../lib/authority.ts";

/** What the egress gate is told about one connection. */
export interface AskAnswer {
  readonly allowed: boolean;
  /** For the agent and the log: a sentence without its subject. */
  readonly why: string;
  /** `ask-approved`, or why not: `ask-denied`, `ask-timeout`, `ask-too-many`, `ask-withdrawn`. */
  readonly code: string;
  readonly hint?: string;
  /** Until when the connection may stand (ms since the epoch); absent: until it ends. */
  readonly until?: number;
}

/** Whom the gate asks when neither an allow nor a deny entry decides and the policy's `ask` list matches. */
export interface AskDecider {
  /**
   * @param principal full localpart
   * @param signal the caller left: its connection no longer waits
   */
  ask(principal: string, target: Target, signal: AbortSignal): Promise<AskAnswer>;
}

export type Verdict = "approve" | "deny";

/** `once`: what waits, and what comes to the same destination shortly after. */
export type Scope =
  | { readonly kind: "once" }
  | { readonly kind: "for"; readonly ms: number }
  /** Written into the signed assignment by the operator's CLI; the daemon can't. */
  | { readonly kind: "always" };

/** Who decided, and by which way it came. */
export interface Decider {
  readonly by: string;
  readonly via: "reaction" | "reply" | "cli" | "policy" | "timeout" | "daemon";
}

export type Outcome = "approved" | "denied" | "timed-out" | "withdrawn";

/** One question. All requests of a principal for one destination share it. */
export interface Ask {
  readonly id: string;
  readonly principal: string;
  readonly host: string;
  readonly port: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
  /** Unanswered it is denied then. */
  readonly until: number;
  /** Of its message, once the homeserver has it. */
  readonly event_id: string | null;
}

export interface Decided extends Ask {
  readonly outcome: Outcome;
  readonly by: string;
  readonly via: Decider["via"];
  readonly at: number;
  /** How long it holds; null: it was for this once, or for good. */
  readonly expires_at: number | null;
  readonly always: boolean;
}

/** A decision that holds for a while. */
export interface TemporaryRule {
  readonly principal: string;
  readonly host: string;
  readonly port: number;
  readonly allowed: boolean;
  readonly until: number;
  readonly by: string;
}

/** What the daemon keeps over its restarts. */
export interface AskState {
  readonly version: 1;
  readonly pending: readonly Ask[];
  readonly rules: readonly TemporaryRule[];
  /** Newest last. */
  readonly decided: readonly Decided[];
}

export const MIN_TEMPORARY_MS = 60_000;
/** What should hold for longer belongs into the assignment, where a signature covers it. */
export const MAX_TEMPORARY_MS = 7 * 24 * 3_600_000;
