// SPDX-License-Identifier: Apache-2.0

/** Egress questions as the daemon's socket shows and takes them. */
import * as z from "zod/mini";

export const AskView = z.object({
  /** What people type to name it. */
  id: z.string(),
  /** Full localpart. */
  principal: z.string(),
  host: z.string(),
  port: z.number(),
  /** Milliseconds since the epoch. */
  since: z.number(),
  /** Unanswered it is refused then. */
  until: z.number(),
  /** Connections that wait for the answer now. */
  waiting: z.number(),
});
export type AskView = z.infer<typeof AskView>;

export const DecidedAskView = z.object({
  id: z.string(),
  principal: z.string(),
  host: z.string(),
  port: z.number(),
  since: z.number(),
  outcome: z.enum(["approved", "denied", "timed-out", "withdrawn"]),
  /** User id, or who else. */
  by: z.string(),
  via: z.enum(["reaction", "reply", "cli", "policy", "timeout", "daemon"]),
  at: z.number(),
  /** Null: this once, or for good. */
  expires_at: z.nullable(z.number()),
  always: z.boolean(),
});
export type DecidedAskView = z.infer<typeof DecidedAskView>;

/** A decision that holds for a while. */
export const TemporaryRuleView = z.object({
  principal: z.string(),
  host: z.string(),
  port: z.number(),
  allowed: z.boolean(),
  until: z.number(),
  by: z.string(),
});
export type TemporaryRuleView = z.infer<typeof TemporaryRuleView>;

export const AsksAnswer = z.object({
  /** Oldest first. */
  pending: z.array(AskView),
  /** The last hundred, newest first. */
  decided: z.array(DecidedAskView),
  rules: z.array(TemporaryRuleView),
});
export type AsksAnswer = z.infer<typeof AsksAnswer>;

export const DecideRequest = z.object({
  /** An ask's id, or `host`, or `host:port`. */
  ask: z.string(),
  verdict: z.enum(["approve", "deny"]),
  scope: z.enum(["once", "for", "always"]),
  /** With `for`: one minute to seven days. */
  for_ms: z.optional(z.number()),
  /** Name of the agent, where several ask for the host, or none does. */
  principal: z.optional(z.string()),
});
export type DecideRequest = z.infer<typeof DecideRequest>;

export const DecideAnswer = z.object({
  principal: z.string(),
  host: z.string(),
  port: z.number(),
  /** Null: nothing was open; a rule was set or taken away. */
  ask: z.nullable(z.string()),
  expires_at: z.nullable(z.number()),
});
export type DecideAnswer = z.infer<typeof DecideAnswer>;

/** One line of a policy, and where it comes from. */
export const EgressLine = z.object({
  entry: z.string(),
  /** `template`, `assignment`, or `decision of <user> until <time>`. */
  source: z.string(),
  /** Of the hosts above: only these requests. */
  only: z.optional(z.string()),
  /** The preset that it stands in. */
  preset: z.optional(z.string()),
});
export type EgressLine = z.infer<typeof EgressLine>;

export const PrincipalEgress = z.object({
  principal: z.string(),
  allow: z.array(EgressLine),
  deny: z.array(EgressLine),
  ask: z.array(EgressLine),
  ask_timeout_s: z.number(),
  /** Tunnels that follow from it, as grants of source `egress`; and what is left out of them. */
  tunnels: z.array(z.string()),
  no_tunnels: z.array(z.string()),
});
export type PrincipalEgress = z.infer<typeof PrincipalEgress>;
