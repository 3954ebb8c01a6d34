// SPDX-License-Identifier: Apache-2.0

/** Backup and compaction while the server runs. */
import { backup as copyDatabase, DatabaseSync } from "node:sqlite";
import { messageOf } from "../lib/errors.ts";
import type { Context } from "./context.ts";
import { MatrixError, storageFull } from "./errors.ts";

export interface Backup {
  /** Directory of the backup, below the homeserver's own. */
  readonly path: string;
  readonly bytes: number;
  readonly media_files: number;
  readonly events: number;
  /** Older ones that went. */
  readonly removed: number;
}

const isMissing = (thrown: unknown) => thrown instanceof Deno.errors.NotFound;

/** The name of a backup; nothing else in there is removed. */
const BACKUP = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z$/;

/**
 * A copy of the database as it is at one moment, checked, and the media that it names, as hard links (a
 * file of media never changes). Writers go on meanwhile. It is there whole under its name, or not at all.
 * @param keep how many backups stay, this one among them; null: all
 * @throws {MatrixError} 507 when the disk is full, 500 when the copy is damaged
 */
export async function backup(ctx: Context, keep: number | null = null): Promise<Backup> {
  const { state_dir } = ctx.config;
  const parent = `${state_dir}/backups`;
  await Deno.mkdir(parent, { recursive: true, mode: 0o700 });
  for await (const { name } of Deno.readDir(parent)) {
    // Of a backup that was interrupted.
    if (name.endsWith(".part")) await Deno.remove(`${parent}/${name}`, { recursive: true });
  }
  const stamp = new Date(ctx.clock.now()).toISOString().replace(/[:.]/g, "-");
  const path = `${parent}/${stamp}`;
  const part = `${path}.part`;
  await Deno.mkdir(`${part}/media`, { recursive: true, mode: 0o700 });
  try {
    const file = `${part}/homeserver.db`;
    await ctx.db.using((db) => copyDatabase(db, file));
    await Deno.chmod(file, 0o600);
    const { media, events } = examine(file);
    let linked = 0;
    for (const id of media) {
      try {
        await Deno.link(`${state_dir}/media/${id}`, `${part}/media/${id}`);
        linked++;
      } catch (thrown) {
        if (!isMissing(thrown)) throw thrown;
      }
    }
    const { size } = await Deno.stat(file);
    await Deno.rename(part, path);
    const removed = keep === null ? 0 : await removeOldest(parent, keep);
    return { path, bytes: size, media_files: linked, events, removed };
  } catch (thrown) {
    await Deno.remove(part, { recursive: true }).catch(() => {});
    throw asFailure(thrown, "back up");
  }
}

/** Their names are their times. @returns how many went */
async function removeOldest(parent: string, keep: number): Promise<number> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(parent)) if (BACKUP.test(name)) names.push(name);
  const old = names.sort().slice(0, -keep);
  for (const name of old) await Deno.remove(`${parent}/${name}`, { recursive: true });
  return old.length;
}

function examine(file: string): { media: string[]; events: number } {
  const copy = new DatabaseSync(file, { readOnly: true });
  try {
    const [result] = copy.prepare("PRAGMA integrity_check").all() as { integrity_check: string }[];
    if (result?.integrity_check !== "ok") {
      throw new Error(`the copy is damaged: ${result?.integrity_check.slice(0, 200)}`);
    }
    const media = copy.prepare("SELECT media_id FROM media").all() as { media_id: string }[];
    const [events] = copy.prepare("SELECT count(*) AS n FROM events").all() as { n: number }[];
    return { media: media.map(({ media_id }) => media_id), events: Number(events!.n) };
  } finally {
    copy.close();
  }
}

export interface Compaction {
  readonly bytes_before: number;
  readonly bytes_after: number;
  readonly removed: {
    readonly transactions: number;
    readonly to_device: number;
    readonly media_files: number;
  };
}

/** As at every start: a client repeats a request within minutes. */
const TRANSACTION_MS = 24 * 60 * 60 * 1000;
/** A file that young may be of an upload under way. */
const UPLOAD_MS = 60 * 60 * 1000;

/**
 * Removes what nothing refers to and gives free pages back to the disk. Everybody waits while SQLite moves
 * them. A database of before Bureau had this keeps its free pages for itself.
 * @throws {MatrixError} 507 when the disk fails; nothing is lost then
 */
export async function compact(ctx: Context): Promise<Compaction> {
  const { db, clock, config } = ctx;
  const size = async () => (await Deno.stat(`${config.state_dir}/homeserver.db`)).size;
  try {
    db.using((raw) => raw.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    const before = await size();
    const removed = await db.write(() => ({
      transactions: db.run("DELETE FROM transactions WHERE ts < ?", clock.now() - TRANSACTION_MS),
      to_device: db.run(
        "DELETE FROM to_device WHERE NOT EXISTS (SELECT 1 FROM devices d WHERE d.user_id = to_device.user_id AND d.device_id = to_device.device_id)",
      ),
    }));
    const mediaFiles = await removeStrayMedia(ctx);
    db.using((raw) => {
      // Each step frees a page; `exec` would make one step.
      raw.prepare("PRAGMA incremental_vacuum").all();
      raw.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    });
    return {
      bytes_before: before,
      bytes_after: await size(),
      removed: { ...removed, media_files: mediaFiles },
    };
  } catch (thrown) {
    throw asFailure(thrown, "compact");
  }
}

/** Files of uploads that were cut off before they were recorded. */
async function removeStrayMedia({ db, clock, config }: Context): Promise<number> {
  const dir = `${config.state_dir}/media`;
  let removed = 0;
  try {
    for await (const { name, isFile } of Deno.readDir(dir)) {
      if (!isFile || db.get("SELECT 1 AS yes FROM media WHERE media_id = ?", name) !== undefined) {
        continue;
      }
      const { mtime } = await Deno.stat(`${dir}/${name}`);
      if (mtime === null || clock.now() - mtime.getTime() < UPLOAD_MS) continue;
      await Deno.remove(`${dir}/${name}`);
      removed++;
    }
  } catch (thrown) {
    if (!isMissing(thrown)) throw thrown;
  }
  return removed;
}

function asFailure(thrown: unknown, what: string): MatrixError {
  if (thrown instanceof MatrixError) return thrown;
  const message = messageOf(thrown);
  if (/full|No space left|os error 28|File too large/i.test(message)) return storageFull(thrown);
  return new MatrixError(500, "M_UNKNOWN", `Cannot ${what} the database: ${message}`);
}
