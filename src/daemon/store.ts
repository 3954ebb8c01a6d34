// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { SyncPosition, SyncStore } from "../messaging/mod.ts";

/**
 * Remembers the stored filter's id in `<state>/daemon/sync.json`. Not the token: every start takes the
 * whole (filtered) state anew, so that what changed while the daemon was away is never missed, and no
 * state has to be kept on disk beside the token it belongs to.
 */
export function fileSyncStore(dir: string, log: Logger): SyncStore {
  const path = `${dir}/sync.json`;
  let written = "";
  return {
    async load() {
      try {
        const { filterDigest, filterId } = JSON.parse(
          await Deno.readTextFile(path),
        ) as SyncPosition;
        if (typeof filterDigest !== "string" || typeof filterId !== "string") return {};
        return { filterDigest, filterId };
      } catch {
        // Missing or damaged: it is a cache, and one more request replaces it.
        return {};
      }
    },
    async save({ filterDigest, filterId }) {
      const text = JSON.stringify({ filterDigest, filterId });
      if (text === written) return;
      written = text;
      try {
        await Deno.writeTextFile(`${path}.new`, text, { mode: 0o600 });
        await Deno.rename(`${path}.new`, path);
      } catch (thrown) {
        log.warn("sync position not saved", { why: messageOf(thrown) });
      }
    },
  };
}
