// SPDX-License-Identifier: Apache-2.0
import { sha256Hex } from "../../lib/canonical/mod.ts";

/** Names of devices, on file systems that a workspace may be shared with. */
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)$/i;

/**
 * An id as one part of a path. Plain ones are themselves, so that other programs find their files; all others become
 * hex with a digest, and a dot, which no plain one has.
 */
export async function pathComponent(id: string): Promise<string> {
  if (/^[A-Za-z0-9_-]{1,80}$/.test(id) && !RESERVED.test(id)) return id;
  const head = new TextEncoder().encode(id).slice(0, 16).toHex();
  return `${head || "0"}.${(await sha256Hex(id)).slice(0, 32)}`;
}
