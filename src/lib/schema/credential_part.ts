// SPDX-License-Identifier: Apache-2.0

/** One credential of a principal, sealed by itself: it is added, rotated and removed without the others. */
import * as z from "zod/mini";
import { Signature } from "./signature.ts";

export const CredentialKind = z.enum([
  "static",
  "oauth2",
  "claude-subscription",
  "codex-subscription",
  "ssh-key",
]);
export type CredentialKind = z.infer<typeof CredentialKind>;

/**
 * In `Credentials.parts`, by the credential's name. Signed, because parts are joined: one that a foreign hand
 * slipped among the operator's could name a certificate authority of its own for a host that they share.
 */
export const CredentialPart = z.object({
  /** Another one was written by a newer Bureau, and is refused. */
  version: z.literal(1),
  /** User id. */
  principal: z.string(),
  /** Name of the credential. */
  name: z.string(),
  /** For people: what the launcher obeys is inside `ciphertext`. */
  kind: CredentialKind,
  /** For people, as `kind`. */
  allowed_hosts: z.array(z.string()),
  /** As in `Credentials`. */
  encrypted_for: z.array(z.string()),
  /** The age public keys it is sealed to, in clear: whether it needs to be sealed anew. */
  recipients: z.optional(z.array(z.string())),
  /** Base64 of the age ciphertext of a `CredentialBundle` that holds this credential alone. */
  ciphertext: z.string(),
  /** The same, holding what replaces the secrets in it: a rotation, by somebody who can't read the rest. */
  rotated: z.optional(z.string()),
  /** Ms epoch; from then on it is refused. */
  expires_at: z.optional(z.int()),
  /**
   * It was taken away, by a signature as any other change: whoever brings an older part back is refused. `ciphertext` is
   * empty then.
   */
  removed: z.optional(z.literal(true)),
  /** User id of the operator who signed it. */
  issued_by: z.string(),
  /** Ms epoch; a launcher refuses one older than the newest it has seen (replay). */
  issued_at: z.int(),
  signature: Signature,
});
export type CredentialPart = z.infer<typeof CredentialPart>;
