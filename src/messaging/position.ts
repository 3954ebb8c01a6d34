// SPDX-License-Identifier: Apache-2.0

/** A sync position in a file. */
import type { SyncPosition, SyncStore } from "./sync.ts";

/**
 * For a process that keeps what it read: whoever keeps nothing begins with the whole state each time. The
 * file is replaced, never written in place; a damaged one costs a full sync.
 * @param path its folder exists, and is the process's own
 * @param onError told when it could not be written; the loop goes on, and a restart repeats more
 */
export function positionFile(path: string, onError: (error: unknown) => void): SyncStore {
  return {
    async load() {
      try {
        return read(JSON.parse(await Deno.readTextFile(path)));
      } catch {
        return {};
      }
    },
    async save(position) {
      try {
        await Deno.writeTextFile(`${path}.new`, JSON.stringify(position), { mode: 0o600 });
        await Deno.rename(`${path}.new`, path);
      } catch (thrown) {
        onError(thrown);
      }
    },
  };
}

function read(json: unknown): SyncPosition {
  if (typeof json !== "object" || json === null) return {};
  const { since, filterDigest, filterId } = json as Record<string, unknown>;
  return {
    ...(typeof since === "string" ? { since } : {}),
    ...(typeof filterDigest === "string" && typeof filterId === "string"
      ? { filterDigest, filterId }
      : {}),
  };
}
