// SPDX-License-Identifier: Apache-2.0

/** `/v1/authorization` of the daemon's socket: what holds for somebody, and why something may be done or not. */
import * as z from "zod/mini";

export const RuleView = z.object({
  actions: z.array(z.string()),
  targets: z.optional(z.array(z.string())),
  actors: z.optional(z.array(z.string())),
  /** `template`, `principal` (the assignment), `machine-default`, `room:<id>`, `egress`, `operator`, `self`. */
  source: z.string(),
  granted_by: z.optional(z.string()),
  granted_at: z.optional(z.string()),
  expires_at: z.optional(z.string()),
  ticket: z.optional(z.string()),
  /** The state event that it came in; null where it is in none. */
  event: z.nullable(z.object({
    room: z.string(),
    type: z.string(),
    state_key: z.string(),
    sender: z.string(),
    event_id: z.nullable(z.string()),
  })),
});
export type RuleView = z.infer<typeof RuleView>;

const kind = z.enum(["operator", "principal", "machine", "person"]);

export const PolicyView = z.object({
  user_id: z.string(),
  kind,
  grants: z.array(RuleView),
  denials: z.array(RuleView),
  allowances: z.array(RuleView),
  allowance_denials: z.array(RuleView),
});
export type PolicyView = z.infer<typeof PolicyView>;

export const DecisionView = z.object({
  actor: z.string(),
  actor_kind: kind,
  action: z.string(),
  target: z.nullable(z.string()),
  allowed: z.boolean(),
  reason: z.string(),
  grant: z.nullable(RuleView),
  denial: z.nullable(RuleView),
  allowance: z.nullable(RuleView),
  allowance_denial: z.nullable(RuleView),
});
export type DecisionView = z.infer<typeof DecisionView>;
