// SPDX-License-Identifier: Apache-2.0

/**
 * What Bureau's programs say in rooms. Each is an ordinary `m.notice` (or a text, where somebody shall be
 * called) with a sentence for people, so that every client shows it, and beside it one field
 * `m.bureau.<kind>` for programs, which never read the sentence. `principal` is a full localpart.
 *
 * Commands and their answers (`m.bureau.command`, `…_result`) are messages of their own: `src/messaging`.
 */
import * as z from "zod/mini";

const words = z.array(z.string());
const version = z.literal(1);
const principal = z.string();
const error = z.optional(z.string());
const outcome = <T extends readonly [string, ...string[]]>(values: T) => z.enum(values);

/** By kind, without the `m.bureau.` of its field. */
export const NOTICES = {
  /** An agent waits for a decision about a destination; edited when it is decided. */
  egress_ask: z.looseObject({
    version,
    id: z.string(),
    principal,
    host: z.string(),
    port: z.int(),
    since: z.int(),
    until: z.int(),
    state: outcome(["pending", "approved", "denied", "timed-out", "withdrawn"]),
  }),
  /** An agent asks leave for a tool call; edited when that has ended. */
  tool_approval: z.looseObject({
    version,
    id: z.string(),
    principal,
    tool: z.string(),
    permission: z.string(),
    resource: z.string(),
    since: z.int(),
    until: z.int(),
    state: outcome(["pending", "decided", "delivered", "failed", "expired"]),
    verdict: z.nullable(outcome(["approve", "deny"])),
  }),
  /** Agents need somebody, or changed otherwise, as `notify` of the machine's file asks to be told. */
  attention: z.object({
    version,
    principals: z.array(z.object({
      principal,
      state: outcome(["failed", "waiting-approval", "waiting-input", "working", "idle"]),
      since: z.int(),
      reason: z.string(),
    })),
  }),
  egress_refused: z.object({
    version,
    principal,
    destinations: z.array(z.object({
      host: z.string(),
      port: z.int(),
      code: z.string(),
      count: z.int(),
    })),
    others: z.int(),
  }),
  budget_reached: z.object({ version, principal, rule: z.string(), cap: z.string() }),
  /** It runs without a sandbox. */
  principal_unisolated: z.object({ version, principal, since: z.int() }),
  principal_start_failed: z.object({
    version,
    principal,
    error: z.string(),
    hint: z.optional(z.string()),
    /** As the status has it: `crash-loop` is tried no more until its assignment changes. */
    reason: z.optional(z.string()),
  }),
  principal_restarted: z.object({ version, principal, template: z.string() }),
  principal_adopted: z.object({ version, principal }),
  sandbox_exited: z.object({
    version,
    principal,
    /** Absent where it was ended before it could tell. */
    exit_code: z.optional(z.int()),
    exit_description: z.optional(z.string()),
    restarting: z.boolean(),
    restarts: z.int(),
  }),
  payload_updated: z.object({ version, principal }),
  grants_updated: z.object({ version, principal, grant_count: z.int() }),
  credentials_rotated: z.object({
    version,
    principal,
    status: outcome([
      "restarting",
      "completed",
      "failed",
      "rolled_back",
      "rollback_failed",
      "live_updated",
    ]),
    error,
  }),
  proxy_crash: z.object({
    version,
    principal,
    exit_code: z.optional(z.int()),
    status: outcome(["detected", "recovered", "failed", "backing_off"]),
    error,
  }),
  health_check: z.object({
    version,
    principal,
    outcome: outcome(["destroyed", "rolled_back", "rollback_failed"]),
    error,
  }),
  /** It calls a role that is bound to no service. */
  service_unbound: z.object({ version, principal, role: z.string() }),
  /** State keys of the fleet's services. */
  service_directory_updated: z.object({ version, added: words, removed: words, updated: words }),
  daemon_self_update: z.object({
    version,
    previous_binary: z.string(),
    new_binary: z.string(),
    status: outcome(["in_progress", "succeeded", "failed"]),
    error,
  }),
  bureau_version_update: z.object({
    version,
    /** `begun`, `replacing` (with the step), then one of the others. */
    status: outcome([
      "prefetch_failed",
      "reconciled",
      "begun",
      "replacing",
      "failed",
      "refused",
    ]),
    error,
    release: z.optional(z.string()),
    step: z.optional(z.string()),
    /** Of the request that it answers. */
    issued_at: z.optional(z.int()),
    proxy_changed: z.optional(z.boolean()),
    launcher_changed: z.optional(z.boolean()),
    log_relay_changed: z.optional(z.boolean()),
  }),
  nix_prefetch_failed: z.object({ version, principal, store_path: z.string(), error: z.string() }),
  provenance_warning: z.object({
    version,
    label: z.string(),
    store_path: z.string(),
    enforcement: outcome(["require", "warn", "log"]),
    reason: outcome(["no_bundle", "fetch_error", "digest_error", "rejected", "no_cache_url"]),
    error,
  }),
} as const;

/** Timeline event in the config room: a sensitive decision of this machine. */
export const AUDIT = "m.bureau.audit";
export const AuditEvent = z.object({
  version,
  decision: z.enum(["allow", "deny", "grant_created", "grant_revoked"]),
  /** User id. */
  actor: z.string(),
  action: z.string(),
  target: z.optional(z.string()),
  reason: z.optional(z.string()),
  /** Sources of the rules that decided. */
  rules: z.optional(words),
  details: z.optional(z.record(z.string(), z.string())),
  enforcement_point: z.string(),
  machine: z.string(),
  /** Milliseconds since the epoch. */
  at: z.int(),
  /** How many were left out before it. */
  suppressed: z.optional(z.int()),
});
export type AuditEvent = z.infer<typeof AuditEvent>;

export type NoticeKind = keyof typeof NOTICES;
export type NoticeOf<K extends NoticeKind> = z.infer<(typeof NOTICES)[K]>;

/** The field for programs. `undefined` ones are left out: events know only absent. */
export function noticePart<K extends NoticeKind>(
  kind: K,
  fields: { readonly [F in keyof Omit<NoticeOf<K>, "version">]: NoticeOf<K>[F] | undefined },
): Readonly<Record<string, unknown>> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return { [`m.bureau.${kind}`]: { version: 1, ...Object.fromEntries(given) } };
}

/** Whether its sender may say it is another question. @returns null for what is none, or malformed */
export function readNotice<K extends NoticeKind>(
  kind: K,
  content: Readonly<Record<string, unknown>>,
): NoticeOf<K> | null {
  const read = NOTICES[kind].safeParse(content[`m.bureau.${kind}`]);
  return read.success ? read.data as NoticeOf<K> : null;
}
