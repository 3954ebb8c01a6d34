// SPDX-License-Identifier: Apache-2.0

/**
 * Protected names that weren't there when a sandbox was made. Nothing could be mounted on them, and they are
 * not made in a person's repository: what is there afterwards, the agent made, and the operator hears of it.
 */
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { readIfThere, removeIfThere } from "./files.ts";
import { existing } from "./look.ts";

/** In the cell's directory, so that a launcher that took the cell over knows it too. */
export const WATCHED_FILE = "watched.json";

/** Looks once for each sandbox: the list goes with the telling. Never fails what calls it. */
export async function tellAppeared(cell: string, principal: string, log: Logger): Promise<void> {
  try {
    const text = await readIfThere(`${cell}/${WATCHED_FILE}`);
    if (text === null) return;
    const watched = JSON.parse(text) as string[];
    for (const path of watched.length === 0 ? [] : await existing(watched)) {
      log.warn("a protected name appeared in a workspace while its agent ran", {
        principal,
        path,
        hint: "look at it before you open the workspace in a shell, an editor or git",
      });
    }
    await removeIfThere(`${cell}/${WATCHED_FILE}`);
  } catch (thrown) {
    log.warn("cannot look for protected names", { principal, why: messageOf(thrown) });
  }
}
