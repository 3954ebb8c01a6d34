// SPDX-License-Identifier: Apache-2.0

/** Who may do what, as assignments, templates and rooms say it. */
import * as z from "zod/mini";

const words = z.array(z.string());

/** A right to perform actions; see `lib/authorization`. Patterns are `lib/glob` patterns. */
export const Grant = z.object({
  actions: words,
  /** User-id patterns `localpattern:serverpattern`. Absent: only self-service checks pass. */
  targets: z.optional(words),
  /** RFC 3339; an expired grant grants nothing. */
  expires_at: z.optional(z.string()),
  ticket: z.optional(z.string()),
  granted_by: z.optional(z.string()),
  granted_at: z.optional(z.string()),
  /** Stamped by the daemon when it merges sources; never trusted from an event. */
  source: z.optional(z.string()),
});
export type Grant = z.infer<typeof Grant>;

export const Denial = z.object({
  actions: words,
  targets: z.optional(words),
  /** RFC 3339; one whose end can't be read has none. */
  expires_at: z.optional(z.string()),
  ticket: z.optional(z.string()),
  granted_by: z.optional(z.string()),
  granted_at: z.optional(z.string()),
  source: z.optional(z.string()),
});
export type Denial = z.infer<typeof Denial>;

/**
 * What a proxy checks its agent's requests against. Denials travel with the grants: a proxy that knew
 * only grants would allow what an operator denied (W-8).
 */
export const ProxyPolicy = z.object({
  grants: z.array(Grant),
  denials: z.array(Denial),
});
export type ProxyPolicy = z.infer<typeof ProxyPolicy>;

/** What others may do *to* a principal: the target's side of a decision. */
export const Allowance = z.object({
  actions: words,
  actors: words,
  /** As a grant's; of an allowance denial as a denial's. */
  expires_at: z.optional(z.string()),
  ticket: z.optional(z.string()),
  granted_by: z.optional(z.string()),
  granted_at: z.optional(z.string()),
  source: z.optional(z.string()),
});
export type Allowance = z.infer<typeof Allowance>;

/** The authorization block that an assignment, a template or a room policy may carry. */
export const AuthorizationPolicy = z.object({
  grants: z.optional(z.array(Grant)),
  denials: z.optional(z.array(Denial)),
  allowances: z.optional(z.array(Allowance)),
  allowance_denials: z.optional(z.array(Allowance)),
});
export type AuthorizationPolicy = z.infer<typeof AuthorizationPolicy>;
