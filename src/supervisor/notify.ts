// SPDX-License-Identifier: Apache-2.0

/** Whom the daemon is to tell, by the machine's file as it is at each of its starts. */
import { type NotifyTarget, notifyTargets } from "../lib/config/mod.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

/**
 * For each start of the daemon: the file may be another by then. One that can't be used while Bureau runs changes nothing.
 * @returns what gives the targets; only its first call throws
 */
export function notifySource(stateDir: string, log: Logger): () => NotifyTarget[] {
  let last: NotifyTarget[] | null = null;
  return () => {
    try {
      return last = notifyTargets(stateDir);
    } catch (thrown) {
      if (last === null) throw thrown;
      log.error("notify: the file is not used as it is now", { why: messageOf(thrown) });
      return last;
    }
  };
}
