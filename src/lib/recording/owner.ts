// SPDX-License-Identifier: Apache-2.0

/** Whose a directory of recordings is, and how long they are kept: also when the principal is gone. */
import type { Keep } from "./files.ts";

export const OWNER_FILE = "owner.json";

export interface Owner extends Keep {
  /** Full localpart. */
  readonly principal: string;
}

export function ownerText({ principal, maxBytes, keepMs }: Owner): string {
  return JSON.stringify({ version: 1, principal, max_bytes: maxBytes, keep_ms: keepMs });
}

/** @returns null where there is none that can be read: then it is nobody's */
export async function readOwner(dir: string): Promise<Owner | null> {
  try {
    const json: unknown = JSON.parse(await Deno.readTextFile(`${dir}/${OWNER_FILE}`));
    const { principal, max_bytes, keep_ms } = json as Record<string, unknown>;
    const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
    if (typeof principal !== "string" || !isCount(max_bytes) || !isCount(keep_ms)) return null;
    return { principal, maxBytes: max_bytes as number, keepMs: keep_ms as number };
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound || thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}
