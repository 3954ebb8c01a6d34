// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { tmuxClient } from "./cells.ts";
import { removeDirectories } from "./directories.ts";
import type { Cgroups } from "./limits_cell.ts";

export interface ClearContext {
  readonly runDir: string;
  readonly cgroups: Cgroups | null;
  readonly log: Logger;
}

/**
 * Ends a cell that has no principal, and removes its directory. One that can't be ended must not keep the
 * launcher from serving the others: it is told, and the next start tries again.
 */
export async function clearCell(
  { runDir, cgroups, log }: ClearContext,
  hash: string,
): Promise<boolean> {
  try {
    await cgroups?.kill(hash).catch(() => {});
    await tmuxClient(`${runDir}/p/${hash}/tmux`).kill();
    await cgroups?.remove(hash).catch(() => {});
    await removeDirectories(runDir, hash);
    return true;
  } catch (thrown) {
    log.error("a cell can't be ended; its directory stays", { hash, why: messageOf(thrown) });
    return false;
  }
}

/** Cells whose making was not recorded belong to nobody. @param known hashes of those that were */
export async function clearStrays(
  context: ClearContext,
  known: ReadonlySet<string>,
): Promise<void> {
  for await (const entry of Deno.readDir(`${context.runDir}/p`)) {
    if (known.has(entry.name)) continue;
    context.log.warn("removing a cell that nobody owns", { hash: entry.name });
    await clearCell(context, entry.name);
  }
}
