// SPDX-License-Identifier: Apache-2.0

/**
 * The index of what is kept: whose, in which order, how much. What is big lies in files beside it. A row is written
 * after the file that it speaks of is on the disk, so whoever is killed in between leaves a file too many, never a row.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

export type Row = Record<string, string | number | null>;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS sessions (
  agent TEXT NOT NULL, session TEXT NOT NULL, program TEXT,
  started_at INTEGER NOT NULL, ended_at INTEGER, outcome TEXT,
  log_bytes INTEGER NOT NULL, log_kept INTEGER NOT NULL, tally TEXT NOT NULL,
  PRIMARY KEY (agent, session)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_active ON sessions (agent) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS by_start ON sessions (agent, started_at);
CREATE TABLE IF NOT EXISTS past (
  agent TEXT PRIMARY KEY, sessions INTEGER NOT NULL, metrics TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS commits (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, parent TEXT,
  type TEXT NOT NULL, format TEXT NOT NULL, content TEXT NOT NULL, bytes INTEGER NOT NULL,
  session TEXT, checkpoint TEXT NOT NULL, summary TEXT, messages INTEGER, tokens INTEGER,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS of_agent ON commits (agent, number);
CREATE INDEX IF NOT EXISTS of_content ON commits (content);
CREATE TABLE IF NOT EXISTS tips (agent TEXT PRIMARY KEY, id TEXT NOT NULL) STRICT;
`;

export class Database implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000; PRAGMA cache_size=-2048;" +
        "PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=8388608;",
    );
    const { user_version: version } = this.one("PRAGMA user_version")!;
    if (Number(version) > 1) {
      throw new Error(`"${path}" was written by a newer Bureau (version ${version})`);
    }
    this.#db.exec(`${SCHEMA} PRAGMA user_version=1;`);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  one(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  /** @returns how many rows it changed */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** All or nothing, on the disk when it returns. */
  write<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const value = work();
      this.#db.exec("COMMIT");
      return value;
    } catch (thrown) {
      this.#db.exec("ROLLBACK");
      throw thrown;
    }
  }

  /** Of the file, without what is not yet moved into it. */
  get bytes(): number {
    const { page_count: pages } = this.one("PRAGMA page_count")!;
    const { page_size: size } = this.one("PRAGMA page_size")!;
    return Number(pages) * Number(size);
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    this.#db.close();
  }
}
