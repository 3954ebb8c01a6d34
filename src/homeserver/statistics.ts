// SPDX-License-Identifier: Apache-2.0

/** How the homeserver does, as JSON and for scrapers. */
import type { Context } from "./context.ts";
import type { RequestCount } from "./counters.ts";
import type { Measured } from "../lib/metrics/mod.ts";

export interface Statistics {
  /** Ms since the epoch. */
  readonly started_at: number;
  readonly requests: readonly RequestCount[];
  readonly rate_limited: number;
  readonly sync: { readonly waiting: number; readonly answered: number; readonly empty: number };
  readonly database: {
    readonly bytes: number;
    readonly wal_bytes: number;
    readonly commits: number;
    /** Writes that those commits carried. */
    readonly writes: number;
    readonly failed_commits: number;
    readonly rows: Readonly<Record<string, number>>;
  };
}

const TABLES = ["users", "devices", "rooms", "events", "state", "receipts", "to_device", "media"];

/** Costs a look at every row of an index; for people and scrapers, not for requests. */
export function statistics(ctx: Context): Statistics {
  const { db, counters, notifier } = ctx;
  const size = (name: string) => {
    try {
      return Deno.statSync(`${ctx.config.state_dir}/${name}`).size;
    } catch {
      return 0;
    }
  };
  return {
    started_at: ctx.startedAt,
    requests: counters.requests,
    rate_limited: counters.rateLimited,
    sync: { waiting: notifier.waiting, ...counters.syncs },
    database: {
      bytes: size("homeserver.db"),
      wal_bytes: size("homeserver.db-wal"),
      ...db.counters,
      rows: Object.fromEntries(
        TABLES.map((table) => [table, Number(db.get(`SELECT count(*) AS n FROM ${table}`)!["n"])]),
      ),
    },
  };
}

/** The same for scrapers. */
export function measured(
  { started_at, requests, rate_limited, sync, database }: Statistics,
): Measured {
  return {
    bureau_homeserver_start_time_seconds: started_at / 1000,
    bureau_homeserver_requests_total: requests.map((
      { method, route, status, count },
    ) => [{ method, route, status }, count]),
    bureau_homeserver_rate_limited_total: rate_limited,
    bureau_homeserver_sync_waiting: sync.waiting,
    bureau_homeserver_syncs_total: [
      [{ answer: "news" }, sync.answered],
      [{ answer: "empty" }, sync.empty],
    ],
    bureau_homeserver_commits_total: database.commits,
    bureau_homeserver_writes_total: database.writes,
    bureau_homeserver_failed_commits_total: database.failed_commits,
    bureau_homeserver_database_bytes: [
      [{ file: "database" }, database.bytes],
      [{ file: "wal" }, database.wal_bytes],
    ],
    bureau_homeserver_rows: Object.entries(database.rows).map(([table, n]) => [{ table }, n]),
  };
}
