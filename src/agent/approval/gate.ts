// SPDX-License-Identifier: Apache-2.0

/**
 * What stands between a model's tool call and its being carried out, in the executor itself. In this order:
 *
 * 1. a guardian's call that is not known to read is denied, whatever else is set, and nobody is asked;
 * 2. what is always asked about is asked about;
 * 3. `bypass` permits the rest;
 * 4. `enforce_permissions` asks about what can do harm; without it the rest is permitted.
 *
 * Who is asked: with `no_human_approver` a model, else the host. Nobody, an error, silence: denied.
 */
import { APPROVAL_TIMEOUT_MS, MAX_RESOURCE } from "../../lib/approval/limits.ts";
import type { Permission } from "../../lib/approval/types.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Leave } from "../../lib/proxyclient/mod.ts";
import { classify } from "../guardian/classify.ts";
import { type GatedCall, gatedCall } from "./call.ts";
import { forcedReason } from "./forced.ts";

export type AskLeave = (call: GatedCall, signal: AbortSignal) => Promise<Leave>;

/** The names are those of the provision spec's capabilities. */
export interface GateOptions {
  readonly guardian_read_only?: boolean;
  readonly enforce_permissions?: boolean;
  readonly bypass?: boolean;
  readonly no_human_approver?: boolean;
  /** Of a guardian: whether this process stands where it can write nothing (`isReadOnly`). */
  readonly isWalled?: () => boolean | Promise<boolean>;
  /** People, or who asks them. Absent: nobody. */
  readonly host?: AskLeave;
  /** Absent: no model decides anything. */
  readonly review?: AskLeave;
  /** Commands that are always asked about, with `*` for any text. */
  readonly always?: readonly string[];
  /** It waits for an answer; null: it has one. */
  readonly onWaiting?: (call: GatedCall | null) => void;
  readonly clock?: Clock;
}

export interface ToolCall {
  readonly name: string;
  readonly input: unknown;
}

/** @returns why a call is refused; null: it may be carried out. Never throws */
export type Gate = (call: ToolCall, signal: AbortSignal) => Promise<string | null>;

const ASKED: ReadonlySet<Permission> = new Set<Permission>([
  "execute-command",
  "git-write",
  "delete",
  "terminal-session",
  "other",
]);

export function createGate(options: GateOptions): Gate {
  return async ({ name, input }, signal) => {
    const call = gatedCall(name, input);
    if (call === null) return null;
    if (options.guardian_read_only === true) return await guardianRefusal(call, options);
    const isCommand = call.permission !== "write-file" && call.permission !== "http";
    const forced = isCommand ? forcedReason(call.resource, options.always) : null;
    if (forced === null) {
      if (options.bypass === true || options.enforce_permissions !== true) return null;
      if (!ASKED.has(call.permission)) return null;
    }
    const { approved, why } = await leaveFor(call, forced !== null, options, signal);
    return approved ? null : forced === null ? why : `${forced}, and ${why}`;
  };
}

/** Not a question of leave: whoever reviews changes nothing. */
async function guardianRefusal(call: GatedCall, { isWalled }: GateOptions): Promise<string | null> {
  const { permission, resource, tool } = call;
  const isShell = permission === "execute-command" || permission === "delete" ||
    permission === "git-write";
  if (!isShell) return `a reader has no "${tool}": it changes nothing and reaches nothing`;
  const { allowed, why } = classify(resource);
  if (!allowed) return `a reader runs only commands that read: ${why}`;
  const walled = await (async () => await isWalled?.() === true)().catch(() => false);
  return walled
    ? null
    : "a reader runs commands only where it can write nothing, and here it could";
}

/** A model reviews what is forced under `bypass`, too: whoever set it wants nobody to be waited for. */
async function leaveFor(
  call: GatedCall,
  isForced: boolean,
  { bypass, no_human_approver: alone, host, review, onWaiting, clock = systemClock }: GateOptions,
  signal: AbortSignal,
): Promise<Leave> {
  if (call.resource.length > MAX_RESOURCE) return no("it is too long to ask about");
  const isByModel = alone === true || (isForced && bypass === true && review !== undefined);
  const ask = isByModel ? review : host;
  if (ask === undefined) return no("nobody is there who could approve it");
  onWaiting?.(call);
  try {
    return await bounded(ask, call, signal, clock);
  } finally {
    onWaiting?.(null);
  }
}

/** @returns a no when it throws, or has no answer after 300 s */
export async function bounded(
  ask: AskLeave,
  call: GatedCall,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<Leave> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  const cancelled = new Promise<Leave>((resolve) => {
    if (signal.aborted) resolve(no("it was cancelled"));
    signal.addEventListener("abort", () => resolve(no("it was cancelled")), { once: true });
  });
  const late = clock.sleep(APPROVAL_TIMEOUT_MS, over.signal).then(
    () => no("nobody answered in time"),
    () => no("it was cancelled"),
  );
  const asked = (async () => await ask(call, both))().then(
    ({ approved, why }) => ({ approved: approved === true, why }),
    (thrown) => no(`it could not be asked: ${messageOf(thrown)}`),
  );
  try {
    return await Promise.race([asked, late, cancelled]);
  } finally {
    over.abort();
  }
}

const no = (why: string): Leave => ({ approved: false, why });
