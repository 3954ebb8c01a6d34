// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";

/** Ed25519 over the canonical JSON of the content without `signature`; see `lib/signature`. */
export const Signature = z.object({
  /** First 16 hex characters of SHA-256 over the raw public key. */
  key_id: z.string(),
  /** Unpadded base64url of the 64 signature bytes. */
  value: z.string(),
});
export type Signature = z.infer<typeof Signature>;
