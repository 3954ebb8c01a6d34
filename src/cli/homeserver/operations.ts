// SPDX-License-Identifier: Apache-2.0

/** `homeserver stats|backup|compact`: the embedded homeserver's own calls, as its admin. */
import type * as z from "zod/mini";
import { connect, MessagingError } from "../../messaging/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import { loadSession } from "../session.ts";
import type * as results from "./results.ts";

/** A large database takes a while. */
const TIMEOUT_MS = 30 * 60_000;

async function ask<T>(call: Invocation, method: "GET" | "POST", name: string, what: string) {
  using _ = call.progress?.(`the homeserver is asked to ${what}`);
  const session = await loadSession(call);
  const { request } = connect({
    homeserverUrl: session.homeserver_url,
    accessToken: session.access_token,
  });
  try {
    return await request<T>(method, `/_bureau/homeserver/v1/${name}`, {
      what,
      signal: call.signal,
      timeoutMs: TIMEOUT_MS,
    });
  } catch (thrown) {
    if (thrown instanceof MessagingError && thrown.status === 404) {
      throw new CliError(
        "not-embedded",
        `Cannot ${what}: ${session.homeserver_url} is not Bureau's own homeserver`,
        { status: 404, hint: "use its own tools; docs/guide/homeserver.md names them" },
      );
    }
    throw thrown;
  }
}

const SHOWN_ROUTES = 15;

export const stats: CommandHandler<typeof results.stats> = async (call) => {
  const answer = await ask<z.infer<typeof results.stats>>(
    call,
    "GET",
    "stats",
    "read the homeserver's statistics",
  );
  const { database, sync } = answer;
  const facts: [string, string][] = [
    ["started", new Date(answer.started_at).toISOString()],
    ["database", `${size(database.bytes)}, write-ahead log ${size(database.wal_bytes)}`],
    [
      "commits",
      `${database.commits} for ${database.writes} writes, ${database.failed_commits} failed`,
    ],
    ["syncs", `${sync.waiting} wait, ${sync.answered} had news, ${sync.empty} had none`],
    ["rate limited", String(answer.rate_limited)],
    ...Object.entries(database.rows).map(([name, count]) =>
      [
        name,
        String(count),
      ] as [string, string]
    ),
  ];
  const requests = answer.requests.slice(0, SHOWN_ROUTES)
    .map(({ method, route, status, count }) => [String(count), `${status} ${method} ${route}`]);
  for (const line of table(["", ""], facts).slice(1)) call.print(line);
  for (const line of ["", ...table(["requests", ""], requests)]) call.print(line);
  return answer;
};

export const backup: CommandHandler<typeof results.backup> = async (call) => {
  const keep = call.flags["keep"];
  if (keep !== undefined && !(Number.isInteger(keep) && Number(keep) >= 1)) {
    throw new CliError("usage", `Cannot keep ${keep} backups: --keep takes a number from 1 on`);
  }
  const made = await ask<z.infer<typeof results.backup>>(
    call,
    "POST",
    keep === undefined ? "backup" : `backup?keep=${keep}`,
    "back up the homeserver",
  );
  call.print(
    `${made.path}: ${size(made.bytes)}, ${made.events} events, ${made.media_files} files of media`,
  );
  if (made.removed > 0) call.print(`${made.removed} older ones were removed`);
  return made;
};

export const compact: CommandHandler<typeof results.compact> = async (call) => {
  const done = await ask<{
    bytes_before: number;
    bytes_after: number;
    removed: { transactions: number; to_device: number; media_files: number };
  }>(call, "POST", "compact", "compact the homeserver's database");
  const { transactions, to_device, media_files } = done.removed;
  call.print(`${size(done.bytes_before)} → ${size(done.bytes_after)}`);
  call.print(
    `removed: ${transactions} old transactions, ${to_device} messages to devices that are gone, ${media_files} files of broken-off uploads`,
  );
  return done;
};

function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB"];
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(1)} ${units[unit]}`;
}
