// SPDX-License-Identifier: Apache-2.0
import { parseEntity } from "../lib/ref/mod.ts";

/** `agent/scribe`, as people type it; the full localpart where it has no such form. */
export function accountOf(localpart: string): string {
  try {
    return parseEntity(localpart).account;
  } catch {
    return localpart;
  }
}
