// SPDX-License-Identifier: Apache-2.0

/** Who may do what, as assignments, templates and rooms say it. */
import * as z from "zod/mini";

const words = z.array(z.string());

/** A right to perform actions; see `lib/authorization`. Patterns are `lib/glob` patterns. */
export const Grant = z.object({
  /** Patterns of actions: `matrix/send/**`, `http/api`. */
  actions: words,
  /** User-id patterns `localpattern:serverpattern`. Absent: only self-service checks pass. */
  targets: z.optional(words),
  /** RFC 3339; an expired grant grants nothing. */
  expires_at: z.optional(z.string()),
  /** What it was asked for in, for people. */
  ticket: z.optional(z.string()),
  /** User id; for people. */
  granted_by: z.optional(z.string()),
  /** RFC 3339; for people. */
  granted_at: z.optional(z.string()),
  /** Stamped by the daemon when it merges sources; never trusted from an event. */
  source: z.optional(z.string()),
});
export type Grant = z.infer<typeof Grant>;

/** What may not be done, whatever grants say. */
export const Denial = z.object({
  /** Patterns of actions, as a grant's. */
  actions: words,
  /** As a grant's. Absent: whoever it is done to. */
  targets: z.optional(words),
  /** RFC 3339; one whose end can't be read has none. */
  expires_at: z.optional(z.string()),
  /** As a grant's. */
  ticket: z.optional(z.string()),
  /** User id; for people. */
  granted_by: z.optional(z.string()),
  /** RFC 3339; for people. */
  granted_at: z.optional(z.string()),
  /** As a grant's. */
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
  /** Patterns of actions, as a grant's. */
  actions: words,
  /** Patterns of user ids (`localpattern:serverpattern`) that may. */
  actors: words,
  /** As a grant's; of an allowance denial as a denial's. */
  expires_at: z.optional(z.string()),
  /** What it was asked for in, for people. */
  ticket: z.optional(z.string()),
  /** User id; for people. */
  granted_by: z.optional(z.string()),
  /** RFC 3339; for people. */
  granted_at: z.optional(z.string()),
  /** As a grant's. */
  source: z.optional(z.string()),
});
export type Allowance = z.infer<typeof Allowance>;

/**
 * Who may do what, as an assignment or a template carries it. As `m.bureau.authorization` in a machine's config room: state key = the
 * principal, or empty for everybody on the machine.
 */
export const AuthorizationPolicy = z.object({
  /** What may be done. */
  grants: z.optional(z.array(Grant)),
  /** What may not; it wins over every grant. */
  denials: z.optional(z.array(Denial)),
  /** What others may do to the principal. */
  allowances: z.optional(z.array(Allowance)),
  /** What they may not; it wins over every allowance. */
  allowance_denials: z.optional(z.array(Allowance)),
});
export type AuthorizationPolicy = z.infer<typeof AuthorizationPolicy>;
