// SPDX-License-Identifier: Apache-2.0

/**
 * What goes: logs of sessions 30 days after their end, and the oldest before where an agent's are too many; commits of
 * that age that neither an agent's tip nor a younger commit is materialised from; contents that no commit has.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Context } from "./context.ts";
import type { Database } from "./database.ts";
import type { ContentFiles } from "./files.ts";
import type { LogFiles } from "./log_files.ts";

export const KEEP_MS = 30 * 24 * 60 * 60 * 1000;
/** Bytes of logs of one agent. */
const MAX_LOGS = 512 * 1024 * 1024;
/** Bytes of contexts of one agent, its rows counted with it. */
export const MAX_CONTEXT = 1024 * 1024 * 1024;
const ROW_BYTES = 1024;
/** A content so young may get its commit yet. */
const YOUNG_MS = 60 * 60 * 1000;

export interface RetentionOptions {
  readonly database: Database;
  readonly logs: LogFiles;
  readonly contents: ContentFiles;
  readonly context: Context;
  readonly clock: Pick<Clock, "now">;
}

/** Bytes of context that an agent may still commit. */
export function roomOf(database: Database, agent: string): number {
  const { used } = database.one(
    `SELECT coalesce(sum(bytes + ${ROW_BYTES}), 0) AS used FROM commits WHERE agent = ?`,
    agent,
  )!;
  return Math.max(0, MAX_CONTEXT - Number(used) - ROW_BYTES);
}

export async function prune(options: RetentionOptions): Promise<void> {
  await pruneLogs(options);
  pruneCommits(options);
  const { database, contents, clock } = options;
  for await (const hash of contents.olderThan(clock.now() - YOUNG_MS)) {
    const row = database.one("SELECT 1 FROM commits WHERE content = ? LIMIT 1", hash);
    if (row === undefined) await contents.remove(hash);
  }
}

async function pruneLogs({ database, logs, clock }: RetentionOptions): Promise<void> {
  const gone = database.all(
    `SELECT agent, session FROM (
       SELECT agent, session, ended_at, sum(log_kept) OVER (PARTITION BY agent ORDER BY started_at DESC, rowid DESC) AS upto
       FROM sessions WHERE log_kept > 0
     ) WHERE ended_at IS NOT NULL AND (ended_at < ? OR upto > ?)`,
    ...[clock.now() - KEEP_MS, MAX_LOGS],
  );
  for (const { agent, session } of gone) {
    // Whoever goes on with it finds its length, and nothing to read.
    const changed = database.run(
      "UPDATE sessions SET log_kept = 0 WHERE agent = ? AND session = ? AND ended_at IS NOT NULL",
      ...[agent!, session!],
    );
    if (changed > 0) await logs.remove(String(agent), String(session));
  }
}

function pruneCommits({ database, context, clock }: RetentionOptions): void {
  const removed = database.run(
    `WITH RECURSIVE kept(id, parent, type) AS (
       SELECT id, parent, type FROM commits
       WHERE created_at >= ?1 OR id IN (SELECT id FROM tips)
       UNION
       SELECT c.id, c.parent, c.type FROM kept JOIN commits c ON c.id = kept.parent WHERE kept.type = 'delta'
     ) DELETE FROM commits WHERE id NOT IN (SELECT id FROM kept)`,
    clock.now() - KEEP_MS,
  );
  if (removed > 0) context.forgetChains();
}
