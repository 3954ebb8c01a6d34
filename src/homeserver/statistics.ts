// SPDX-License-Identifier: Apache-2.0

/** How the homeserver does, as JSON and in the text format of Prometheus. */
import type { Context } from "./context.ts";
import type { RequestCount } from "./counters.ts";

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

/** https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4. */
export function prometheusText(stats: Statistics): string {
  const lines: string[] = [];
  const metric = (
    name: string,
    type: "counter" | "gauge",
    help: string,
    samples: readonly (readonly [Readonly<Record<string, string | number>>, number])[],
  ) => {
    const full = `bureau_homeserver_${name}`;
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`);
    for (const [labels, value] of samples) {
      const text = Object.entries(labels).map(([key, label]) =>
        `${key}="${String(label).replace(/[\\"\n]/g, (c) => c === "\n" ? "\\n" : `\\${c}`)}"`
      ).join(",");
      lines.push(`${full}${text === "" ? "" : `{${text}}`} ${value}`);
    }
  };
  const { database, sync } = stats;
  metric("start_time_seconds", "gauge", "When it started.", [[{}, stats.started_at / 1000]]);
  metric(
    "requests_total",
    "counter",
    "Requests by route and status.",
    stats.requests.map(({ method, route, status, count }) => [{ method, route, status }, count]),
  );
  metric("rate_limited_total", "counter", "Requests refused with 429.", [[{}, stats.rate_limited]]);
  metric("sync_waiting", "gauge", "Long polls that wait now.", [[{}, sync.waiting]]);
  metric("syncs_total", "counter", "Syncs by whether there was something to tell.", [
    [{ answer: "news" }, sync.answered],
    [{ answer: "empty" }, sync.empty],
  ]);
  metric("commits_total", "counter", "Transactions that reached the disk.", [[
    {},
    database.commits,
  ]]);
  metric("writes_total", "counter", "Writes that those transactions carried.", [[
    {},
    database.writes,
  ]]);
  metric("failed_commits_total", "counter", "Transactions that the disk refused.", [
    [{}, database.failed_commits],
  ]);
  metric("database_bytes", "gauge", "Size of the files.", [
    [{ file: "database" }, database.bytes],
    [{ file: "wal" }, database.wal_bytes],
  ]);
  metric(
    "rows",
    "gauge",
    "Rows of a table.",
    Object.entries(database.rows).map(([table, count]) => [{ table }, count]),
  );
  return lines.join("\n") + "\n";
}
