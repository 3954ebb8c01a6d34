// SPDX-License-Identifier: Apache-2.0
import { canonicalJson } from "../canonical/mod.ts";
import type { Credentials } from "../schema/events.ts";

/**
 * All that is sealed for one principal as one text, in which it goes from the daemon to the launcher, and whose
 * digest says whether it changed: the age ciphertext itself, or, where there are parts, the JSON of both.
 */
export function sealedText(
  { ciphertext, parts }: Pick<Credentials, "ciphertext" | "parts">,
): string {
  if (parts === undefined || Object.keys(parts).length === 0) return ciphertext;
  return canonicalJson({ ciphertext, parts });
}
