// SPDX-License-Identifier: Apache-2.0

/** One place to tell, from `up` to the daemon. Apart from what reads the file: the daemon loads no YAML. */
import * as z from "zod/mini";

export const NOTIFY_STATES = [
  "failed",
  "waiting-approval",
  "waiting-input",
  "working",
  "idle",
] as const;

const words = z.optional(z.array(z.string()));

/** Of `notify` in `bureau.yaml`, with the secrets that it names. */
export const NotifyTarget = z.object({
  name: z.string(),
  kind: z.enum(["matrix", "webhook", "ntfy"]),
  /** Absent: Matrix. */
  url: z.optional(z.string()),
  /** Key of a webhook's signature, token of an ntfy server. Secret. */
  secret: z.optional(z.string()),
  states: z.array(z.enum(NOTIFY_STATES)),
  /** Globs over account names; absent: every agent. */
  agents: words,
  templates: words,
  /** Room ids. */
  rooms: words,
  /** How long it must be so before it is told. */
  after_ms: z.number(),
  quiet_hours: z.optional(z.string()),
  time_zone: z.optional(z.string()),
  /** Whether what agents wrote may be in it. */
  include_text: z.boolean(),
  /** `{agent}` is the agent's name. */
  link: z.optional(z.string()),
});
export type NotifyTarget = z.infer<typeof NotifyTarget>;
