// SPDX-License-Identifier: Apache-2.0

/** The certificates that programs in a sandbox trust: this machine's, and its proxy's own authority. */
import type { Look } from "./look.ts";

const SYSTEM = "/etc/ssl/certs/ca-certificates.crt";
/** The machine's certificates change about once a month; a start every second needn't read them. */
const FRESH_MS = 600_000;

let known: { readonly at: number; readonly pem: Promise<string | null> } | null = null;

/**
 * @param own PEM of the principal's own authority, or null
 * @returns null when there is neither: programs then keep their own
 */
export async function caBundle(
  look: Pick<Look, "readText">,
  own: string | null,
  now = Date.now(),
): Promise<string | null> {
  if (known === null || now - known.at > FRESH_MS) {
    known = { at: now, pem: Promise.resolve(look.readText(SYSTEM)).catch(() => null) };
  }
  const system = await known.pem;
  if (system === null) known = null;
  const parts = [system, own].filter((part): part is string => part !== null && part !== "");
  return parts.length === 0 ? null : parts.map((part) => part.trimEnd() + "\n").join("");
}
