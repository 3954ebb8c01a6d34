// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";

/** Restrictions of a spec that only the worker itself can keep: it names those that it does keep. */
export const RESTRICTIONS = [
  "disabled_tools",
  "max_rounds",
  "enforce_permissions",
  "guardian_read_only",
  "max_spawn_depth",
] as const;
export type Restriction = typeof RESTRICTIONS[number];

/** How long a record counts, and how often its worker renews it. */
export const LEASE_MS = 60_000;
export const RENEWAL_MS = 20_000;

/**
 * What a worker says of itself, in a file that others can read: never a token. It is a claim, until the worker at
 * `endpoint` has answered for it.
 */
export const DiscoveryRecord = z.object({
  agent_id: z.string().check(z.minLength(1)),
  role: z._default(z.string(), ""),
  labels: z._default(z.array(z.string()), []),
  /** `unix:///…` of a Unix socket, or `wss://…`. */
  endpoint: z.string(),
  /** As the worker knows itself, maybe in a process namespace of its own. */
  pid: z.int(),
  version: z._default(z.string(), ""),
  started_at: z.iso.datetime(),
  lease_expires_at: z.iso.datetime(),
  /** Which of `RESTRICTIONS` it keeps; workers of others don't say, and keep none as far as anybody knows. */
  enforces: z._default(z.array(z.string()), []),
});
export type DiscoveryRecord = z.infer<typeof DiscoveryRecord>;

/** Strictly: at its end a lease is over. */
export function isLive(record: DiscoveryRecord, now: number): boolean {
  return Date.parse(record.lease_expires_at) > now;
}

/** The socket's path in a record's endpoint; null for one that is elsewhere. */
export function socketOf(endpoint: string): string | null {
  const match = /^unix:\/\/(\/.*)$/.exec(endpoint);
  return match === null ? null : match[1]!;
}
