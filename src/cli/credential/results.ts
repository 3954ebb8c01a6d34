// SPDX-License-Identifier: Apache-2.0

/** What the commands of `credential` give as JSON. */
import * as z from "zod/mini";

const words = z.array(z.string());

export const list = z.object({
  credentials: z.array(z.object({
    principal: z.string(),
    name: z.string(),
    kind: z.enum([
      ...["static", "oauth2", "claude-subscription", "codex-subscription", "ssh-key"] as const,
      /** Sealed together with others, by an earlier release. */
      "bundle",
    ]),
    /** Null: not known without opening it. */
    allowed_hosts: z.nullable(words),
    sealed_to: words,
    sealed_by: z.string(),
    sealed_at: z.string(),
    rotated: z.boolean(),
    expires_at: z.nullable(z.string()),
  })),
});
/** What became of it in the agent's proxy. */
const taken = z.enum(["live", "restarted", "pending", "refused", "later", "elsewhere"]);
const Provisioned = { principal: z.string(), added: words, replaced: words, taken };

export const provision = z.object(Provisioned);
export const rotate = z.object({ principal: z.string(), credential: z.string(), taken });
export const importThem = z.union([
  z.object({ ...Provisioned, changed: z.boolean() }),
  /** Without `--yes`. */
  z.object({
    found: z.array(z.object({ name: z.string(), hosts: words, from: z.string() })),
    changed: z.boolean(),
  }),
]);
export const init = z.object({ recipient: z.string(), changed: z.boolean() });
export const remove = z.object({
  principal: z.string(),
  credential: z.string(),
  taken,
});
export const reseal = z.object({
  resealed: words,
  lost: z.array(z.object({ principal: z.string(), credentials: words })),
});
export const show = z.object({ recipient: z.string(), kept: z.string() });
