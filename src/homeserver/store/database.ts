// SPDX-License-Identifier: Apache-2.0

/**
 * The one SQLite connection. Writers hand in synchronous functions; all that are waiting run in one
 * transaction and are acknowledged after its COMMIT reached the disk (`synchronous=FULL`), so one
 * fsync serves many writers and an acknowledged event survives SIGKILL and power loss.
 *
 * No JavaScript runs between BEGIN and COMMIT but the batch itself, so a reader never sees what was
 * not committed: a since token handed out can never go back.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { messageOf } from "../../lib/errors.ts";
import { invalidParam, MatrixError, storageFull } from "../errors.ts";
import { migrate } from "./schema.ts";

export type Row = Record<string, string | number | null>;
export type Value = SQLInputValue;

interface Job {
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
}

type Outcome = { readonly ok: true; readonly value: unknown } | {
  readonly ok: false;
  readonly reason: unknown;
};

/** More than this waits for the next transaction, so that one batch cannot hold up readers. */
const MAX_BATCH = 256;

export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #queue: Job[] = [];
  #scheduled = false;
  #inBatch = false;
  #position: number;
  #afterCommit: (() => void)[] = [];
  #commits = 0;
  #writes = 0;
  #failedCommits = 0;
  /** Changes when the database is made anew: a since token of another life is recognised by it. */
  readonly epoch: string;

  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(
      // Takes effect in a new database only. `VACUUM` would need to attach one, which Deno's permissions forbid.
      "PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;" +
        "PRAGMA cache_size=-2048; PRAGMA journal_size_limit=8388608; PRAGMA temp_store=MEMORY;" +
        "PRAGMA busy_timeout=5000;",
    );
    migrate(this.#db);
    this.epoch = this.#meta("epoch");
    this.#position = Number(this.#meta("stream"));
  }

  get counters(): { commits: number; writes: number; failed_commits: number } {
    return { commits: this.#commits, writes: this.#writes, failed_commits: this.#failedCommits };
  }

  /**
   * For maintenance that goes round tables and transactions.
   * @param work must leave no statement and no transaction open
   */
  using<T>(work: (db: DatabaseSync) => T): T {
    return work(this.#db);
  }

  /** The last committed stream position (inside a write: the last one given out). */
  get position(): number {
    return this.#position;
  }

  /** The next stream position. Only inside `write`; gaps are normal. */
  next(): number {
    if (!this.#inBatch) throw new Error("next() outside of write()");
    return ++this.#position;
  }

  /** Runs `effect` once the current batch is on disk; never if it failed. Only inside `write`. */
  afterCommit(effect: () => void): void {
    this.#afterCommit.push(effect);
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#prepare(sql).get(...storable(values)) as Row | undefined;
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#prepare(sql).all(...storable(values)) as Row[];
  }

  /** @returns how many rows changed */
  run(sql: string, ...values: Value[]): number {
    return Number(this.#prepare(sql).run(...storable(values)).changes);
  }

  /**
   * Runs `work` in the next transaction. If it throws, only its own changes are undone.
   *
   * @param work synchronous; may run once only
   * @returns what `work` returned, after the commit
   * @throws {MatrixError} 507 when the disk is full; whatever `work` throws
   */
  write<T>(work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ run: work, resolve: (value) => resolve(value as T), reject });
      this.#schedule();
    });
  }

  close(): void {
    while (this.#queue.length > 0) this.#flush();
    this.#statements.clear();
    this.#db.close();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the I/O that is already there was read: requests that came together share a commit.
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #flush(): void {
    const batch = this.#queue.splice(0, MAX_BATCH);
    if (batch.length === 0) return;
    const before = this.#position;
    const outcomes: Outcome[] = [];
    const effects: (() => void)[] = [];
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      this.#inBatch = true;
      for (const job of batch) {
        outcomes.push(this.#attempt(job, batch.length > 1));
        effects.push(...this.#afterCommit.splice(0));
      }
      if (this.#position !== before) {
        this.run("UPDATE meta SET value = ? WHERE key = 'stream'", String(this.#position));
      }
      this.#db.exec("COMMIT");
      this.#commits++;
      this.#writes += batch.length;
    } catch (thrown) {
      this.#failedCommits++;
      this.#rollback();
      this.#position = before;
      this.#afterCommit = [];
      const reason = asStorageError(thrown);
      for (const job of batch) job.reject(reason);
      return;
    } finally {
      this.#inBatch = false;
    }
    batch.forEach((job, index) => {
      const outcome = outcomes[index]!;
      if (outcome.ok) job.resolve(outcome.value);
      else job.reject(outcome.reason);
    });
    for (const effect of effects) effect();
  }

  /** One job under a savepoint. A failing disk throws through: it ends the whole batch. */
  #attempt(job: Job, shared: boolean): Outcome {
    this.#db.exec("SAVEPOINT job");
    try {
      const value = job.run();
      this.#db.exec("RELEASE job");
      return { ok: true, value };
    } catch (thrown) {
      this.#afterCommit = [];
      if (isDiskFailure(thrown) || (shared && !this.#db.isTransaction)) throw thrown;
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK TO job; RELEASE job");
      return { ok: false, reason: thrown };
    }
  }

  #rollback(): void {
    try {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    } catch {
      // SQLite rolls back by itself on some disk errors; the caller reports the first failure.
    }
  }

  #meta(key: string): string {
    return String(this.get("SELECT value FROM meta WHERE key = ?", key)?.["value"]);
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/**
 * A text is read back up to its first NUL only: a type `m.room.member\0x` would come back as one
 * that its sender may not send.
 */
function storable(values: Value[]): Value[] {
  for (const value of values) {
    if (typeof value === "string" && value.includes("\0")) {
      throw invalidParam("Cannot use a text: it holds a NUL character");
    }
  }
  return values;
}

/** node:sqlite gives no result code here, only SQLite's message. */
function isDiskFailure(thrown: unknown): boolean {
  if (thrown instanceof MatrixError) return false;
  return /database or disk is full|disk I\/O error|unable to open database file|readonly database/i
    .test(messageOf(thrown));
}

function asStorageError(thrown: unknown): unknown {
  return isDiskFailure(thrown) ? storageFull(thrown) : thrown;
}
