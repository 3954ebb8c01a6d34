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
/** Another one was written by a newer Bureau, and is not read. */
const version = z.literal(1);
/** Full localpart of whom it is about. */
const principal = z.string();
/** Why, where it failed. */
const error = z.optional(z.string());
const outcome = <T extends readonly [string, ...string[]]>(values: T) => z.enum(values);

/** By kind, without the `m.bureau.` of its field. */
export const NOTICES = {
  /** An agent waits for a decision about a destination; edited when it is decided. */
  egress_ask: z.looseObject({
    version,
    /** Of the question; an answer names it. */
    id: z.string(),
    principal,
    /** Where it wants to connect to. */
    host: z.string(),
    /** Where it wants to connect to. */
    port: z.int(),
    /** Ms since the epoch. */
    since: z.int(),
    /** Ms since the epoch; without an answer by then it is a denial. */
    until: z.int(),
    /** What became of it. */
    state: outcome(["pending", "approved", "denied", "timed-out", "withdrawn"]),
  }),
  /** An agent asks leave for a tool call; edited when that has ended. */
  tool_approval: z.looseObject({
    version,
    /** Of the question; an answer names it. */
    id: z.string(),
    principal,
    /** Name of the tool. */
    tool: z.string(),
    /** What kind of thing it does. */
    permission: z.string(),
    /** What it does it to. */
    resource: z.string(),
    /** Ms since the epoch. */
    since: z.int(),
    /** Ms since the epoch; without an answer by then it is a denial. */
    until: z.int(),
    /** What became of it. */
    state: outcome(["pending", "decided", "delivered", "failed", "expired"]),
    /** Null: none yet. */
    verdict: z.nullable(outcome(["approve", "deny"])),
  }),
  /** Agents need somebody, or changed otherwise, as `notify` of the machine's file asks to be told. */
  attention: z.object({
    version,
    /** Those that changed. */
    principals: z.array(z.object({
      principal,
      /** What it needs, or does. */
      state: outcome(["failed", "waiting-approval", "waiting-input", "working", "idle"]),
      /** Ms since the epoch. */
      since: z.int(),
      /** By what it is known. */
      reason: z.string(),
    })),
  }),
  /** An agent wanted to connect where it may not; told at most once in a while, with counts. */
  egress_refused: z.object({
    version,
    principal,
    /** The most frequent ones. */
    destinations: z.array(z.object({
      /** Where it wanted to connect to. */
      host: z.string(),
      /** Where it wanted to connect to. */
      port: z.int(),
      /** Why it was refused. */
      code: z.string(),
      /** How often. */
      count: z.int(),
    })),
    /** How many more, of destinations that are not named. */
    others: z.int(),
  }),
  /** What models may cost it is spent. */
  budget_reached: z.object({
    version,
    principal,
    /** Which window: `run`, `hour`, `day`. */
    rule: z.string(),
    /** Which of its caps. */
    cap: z.string(),
  }),
  /** It runs without a sandbox. */
  principal_unisolated: z.object({
    version,
    principal,
    /** Ms since the epoch. */
    since: z.int(),
  }),
  /** It could not be started. */
  principal_start_failed: z.object({
    version,
    principal,
    /** Why. */
    error: z.string(),
    /** What to do about it. */
    hint: z.optional(z.string()),
    /** As the status has it: `crash-loop` is tried no more until its assignment changes. */
    reason: z.optional(z.string()),
  }),
  /** It was started anew, because what it is made of changed. */
  principal_restarted: z.object({
    version,
    principal,
    /** Template reference. */
    template: z.string(),
  }),
  /** A daemon that was started anew found it running. */
  principal_adopted: z.object({ version, principal }),
  /** Its program ended. */
  sandbox_exited: z.object({
    version,
    principal,
    /** Absent where it was ended before it could tell. */
    exit_code: z.optional(z.int()),
    /** The same in words: which signal, which limit. */
    exit_description: z.optional(z.string()),
    /** Whether it is started again. */
    restarting: z.boolean(),
    /** How often it was. */
    restarts: z.int(),
  }),
  /** Its payload was replaced while it runs. */
  payload_updated: z.object({ version, principal }),
  /** Its rights were replaced while it runs. */
  grants_updated: z.object({
    version,
    principal,
    /** How many grants it has now. */
    grant_count: z.int(),
  }),
  /** It has other credentials. */
  credentials_rotated: z.object({
    version,
    principal,
    /** `live_updated`: its proxy took them without a restart of the program. */
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
  /** Its proxy ended by itself. */
  proxy_crash: z.object({
    version,
    principal,
    /** Absent: a signal ended it. */
    exit_code: z.optional(z.int()),
    /** What became of it. */
    status: outcome(["detected", "recovered", "failed", "backing_off"]),
    error,
  }),
  /** It ran, and did not work. */
  health_check: z.object({
    version,
    principal,
    /** What was done about it. */
    outcome: outcome(["destroyed", "rolled_back", "rollback_failed"]),
    error,
  }),
  /** It calls a role that is bound to no service. */
  service_unbound: z.object({
    version,
    principal,
    /** The role. */
    role: z.string(),
  }),
  /** State keys of the fleet's services. */
  service_directory_updated: z.object({
    version,
    /** They are new. */
    added: words,
    /** They are gone. */
    removed: words,
    /** They say something else of themselves. */
    updated: words,
  }),
  /** The daemon was replaced. */
  daemon_self_update: z.object({
    version,
    /** What ran. */
    previous_binary: z.string(),
    /** What runs then. */
    new_binary: z.string(),
    /** What became of it. */
    status: outcome(["in_progress", "succeeded", "failed"]),
    error,
  }),
  /** A machine takes another release of Bureau. */
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
    /** Its digest. */
    release: z.optional(z.string()),
    /** Which process is being replaced. */
    step: z.optional(z.string()),
    /** Of the request that it answers. */
    issued_at: z.optional(z.int()),
    /** Proxies were replaced. */
    proxy_changed: z.optional(z.boolean()),
    /** The launcher was replaced. */
    launcher_changed: z.optional(z.boolean()),
    /** Relays of terminals were replaced. */
    log_relay_changed: z.optional(z.boolean()),
  }),
  /** An environment could not be fetched. */
  nix_prefetch_failed: z.object({
    version,
    principal,
    /** Which. */
    store_path: z.string(),
    /** Why. */
    error: z.string(),
  }),
  /** What is installed was not built by somebody who is trusted with it. */
  provenance_warning: z.object({
    version,
    /** What it is. */
    label: z.string(),
    /** Where it is. */
    store_path: z.string(),
    /** What follows. */
    enforcement: outcome(["require", "warn", "log"]),
    /** What was wrong. */
    reason: outcome(["no_bundle", "fetch_error", "digest_error", "rejected", "no_cache_url"]),
    error,
  }),
} as const;

/** Timeline event in the config room: a sensitive decision of this machine. */
export const AUDIT = "m.bureau.audit";
export const AuditEvent = z.object({
  /** Another one was written by a newer Bureau, and is refused. */
  version,
  /** What was decided. */
  decision: z.enum(["allow", "deny", "grant_created", "grant_revoked"]),
  /** User id. */
  actor: z.string(),
  /** The action that it was about. */
  action: z.string(),
  /** User id of whom it was done to. */
  target: z.optional(z.string()),
  /** Why, for people. */
  reason: z.optional(z.string()),
  /** Sources of the rules that decided. */
  rules: z.optional(words),
  /** More, by name. */
  details: z.optional(z.record(z.string(), z.string())),
  /** Which process decided. */
  enforcement_point: z.string(),
  /** User id of the machine. */
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
