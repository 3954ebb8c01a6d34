// SPDX-License-Identifier: Apache-2.0

/** Sessions of agents, each with its log: one active at a time for each agent. */
import type { Clock } from "../../lib/clock.ts";
import { type Metrics, NO_METRICS, type Session, type StartSession } from "./api.ts";
import type { Database, Row } from "./database.ts";
import { AgentServiceError } from "./errors.ts";
import { wholeLines } from "./lines.ts";
import type { LogFiles } from "./log_files.ts";
import { more, NO_TALLY, tallied, type Tally } from "./tally.ts";

/** Of one log; what comes later is counted, and not kept. */
const MAX_LOG = 64 * 1024 * 1024;
/** Of one agent; the oldest that ended go, and what they took stays in the sum. */
const MAX_SESSIONS = 2_000;

export interface SessionsOptions {
  readonly database: Database;
  readonly files: LogFiles;
  readonly clock: Pick<Clock, "now">;
  /** Something of this agent is another than before. */
  readonly changed: (agent: string) => void;
}

export class Sessions {
  readonly #options: SessionsOptions;
  /** By file: what goes into one goes in turns. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  find(agent: string, session: string): Session {
    const row = this.#row(agent, session);
    if (row !== undefined) return sessionOf(row);
    throw new AgentServiceError("no-such-session", `Cannot find the session "${session}"`, {
      status: 404,
      hint: "`bureau agent session NAME` lists what is kept",
    });
  }

  active(agent: string): Session | null {
    const row = this.#options.database.one(
      "SELECT * FROM sessions WHERE agent = ? AND ended_at IS NULL",
      agent,
    );
    return row === undefined ? null : sessionOf(row);
  }

  /** Of all agents. */
  get activeCount(): number {
    const row = this.#options.database.one(
      "SELECT count(*) AS n FROM sessions WHERE ended_at IS NULL",
    );
    return Number(row!["n"]);
  }

  /** Newest first. */
  list(agent: string, limit: number): Session[] {
    return this.#options.database.all(
      "SELECT * FROM sessions WHERE agent = ? ORDER BY started_at DESC, rowid DESC LIMIT ?",
      ...[agent, limit],
    ).map(sessionOf);
  }

  /** Begins it, or goes on with it where it is known. @throws {AgentServiceError} `session-active` */
  start(agent: string, { session_id: session, program, supersede }: StartSession): Session {
    const { database, clock, changed } = this.#options;
    database.write(() => {
      const active = this.active(agent);
      if (active !== null && active.session_id !== session) {
        if (active.session_id !== supersede) throw alreadyActive(active);
        this.#end(agent, active.session_id, "superseded");
      }
      database.run(
        "INSERT INTO sessions VALUES (?, ?, ?, ?, NULL, NULL, 0, 0, ?) " +
          "ON CONFLICT DO UPDATE SET ended_at = NULL, outcome = NULL, program = coalesce(excluded.program, program)",
        ...[agent, session, program ?? null, clock.now(), JSON.stringify(NO_TALLY)],
      );
      this.#forgetOldest(agent);
    });
    changed(agent);
    return this.find(agent, session);
  }

  end(agent: string, session: string): Session {
    this.find(agent, session);
    if (this.#end(agent, session, "ended") > 0) this.#options.changed(agent);
    return this.find(agent, session);
  }

  #end(agent: string, session: string, outcome: "ended" | "superseded"): number {
    return this.#options.database.run(
      "UPDATE sessions SET ended_at = ?, outcome = ? WHERE agent = ? AND session = ? AND ended_at IS NULL",
      ...[this.#options.clock.now(), outcome, agent, session],
    );
  }

  /**
   * Adds to the log of the active session; what came whole before a connection broke is kept and counted, once.
   * @returns the log's length
   * @throws {AgentServiceError} `wrong-offset`, `session-ended`, `bad-line`, and what `wholeLines` throws
   */
  async append(
    agent: string,
    session: string,
    offset: number,
    body: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    let at = offset;
    for await (const lines of wholeLines(body)) {
      at = await this.#inTurn(agent, session, () => this.#add(agent, session, at, lines));
    }
    return at;
  }

  async #add(agent: string, session: string, at: number, lines: Uint8Array): Promise<number> {
    const { database, files, clock, changed } = this.#options;
    const present = this.find(agent, session);
    if (present.ended_at !== null) {
      throw new AgentServiceError("session-ended", `Cannot add to "${session}": it has ended`, {
        status: 409,
        hint: "start it again to go on with it",
      });
    }
    if (present.log_bytes !== at) {
      throw new AgentServiceError(
        "wrong-offset",
        `Cannot add to "${session}" at ${at}: its log ends at ${present.log_bytes}`,
        { status: 409, hint: "leave out what it has, or send what is missing" },
      );
    }
    let tally = tallyOf(this.#row(agent, session)!);
    for (const line of parsed(lines)) tally = tallied(tally, line, clock.now());
    const isWhole = present.log_kept === at;
    const room = isWhole && at + lines.length <= MAX_LOG;
    if (room) await files.write(agent, session, at, lines);
    const end = at + lines.length;
    database.write(() =>
      database.run(
        "UPDATE sessions SET log_bytes = ?, log_kept = ?, tally = ? WHERE agent = ? AND session = ?",
        ...[end, room ? end : present.log_kept, JSON.stringify(tally), agent, session],
      )
    );
    changed(agent);
    return end;
  }

  async #inTurn<T>(agent: string, session: string, work: () => Promise<T>): Promise<T> {
    const key = `${agent}\0${session}`;
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work);
    const settled = turn.then(() => {}, () => {});
    this.#turns.set(key, settled);
    void settled.then(() => {
      if (this.#turns.get(key) === settled) this.#turns.delete(key);
    });
    return await turn;
  }

  /** What is kept of it. */
  log(agent: string, session: string, from: number): AsyncIterable<Uint8Array<ArrayBuffer>> {
    return this.#options.files.read(agent, session, from, this.find(agent, session).log_kept);
  }

  /** Of all sessions that ever were. */
  metrics(agent: string): { readonly sessions: number; readonly total: Metrics } {
    const { database } = this.#options;
    const past = database.one("SELECT * FROM past WHERE agent = ?", agent);
    const rows = database.all("SELECT tally FROM sessions WHERE agent = ?", agent);
    const begin = past === undefined ? NO_METRICS : JSON.parse(String(past["metrics"])) as Metrics;
    return {
      sessions: rows.length + Number(past?.["sessions"] ?? 0),
      total: rows.map((row) => tallyOf(row).metrics).reduce<Metrics>(more, begin),
    };
  }

  #forgetOldest(agent: string): void {
    const { database } = this.#options;
    const oldest = database.all(
      "SELECT * FROM sessions WHERE agent = ? AND ended_at IS NOT NULL ORDER BY started_at DESC, rowid DESC LIMIT -1 OFFSET ?",
      ...[agent, MAX_SESSIONS],
    );
    for (const row of oldest) {
      const past = database.one("SELECT * FROM past WHERE agent = ?", agent);
      const total = past === undefined
        ? NO_METRICS
        : JSON.parse(String(past["metrics"])) as Metrics;
      database.run(
        "INSERT OR REPLACE INTO past VALUES (?, ?, ?)",
        ...[agent, Number(past?.["sessions"] ?? 0) + 1],
        JSON.stringify(more(total, tallyOf(row).metrics)),
      );
      database.run("DELETE FROM sessions WHERE agent = ? AND session = ?", agent, row["session"]!);
      void this.#options.files.remove(agent, String(row["session"]));
    }
  }

  #row(agent: string, session: string): Row | undefined {
    return this.#options.database.one(
      "SELECT * FROM sessions WHERE agent = ? AND session = ?",
      ...[agent, session],
    );
  }
}

function* parsed(lines: Uint8Array): Generator<unknown> {
  for (const line of new TextDecoder().decode(lines).split("\n")) {
    if (line === "") continue;
    try {
      yield JSON.parse(line);
    } catch {
      throw new AgentServiceError("bad-line", "Cannot add to the log: a line is no JSON", {
        status: 400,
      });
    }
  }
}

function alreadyActive({ session_id: id, started_at, program }: Session): AgentServiceError {
  const since = new Date(started_at).toISOString();
  return new AgentServiceError(
    "session-active",
    `Cannot begin a session: "${id}"${
      program === null ? "" : ` of ${program}`
    } goes on since ${since}`,
    { status: 409, hint: "end it, or name it as `supersede` when whoever ran it is gone" },
  );
}

function tallyOf(row: Row): Tally {
  return JSON.parse(String(row["tally"])) as Tally;
}

function sessionOf(row: Row): Session {
  return {
    agent: String(row["agent"]),
    session_id: String(row["session"]),
    program: row["program"] as string | null,
    started_at: Number(row["started_at"]),
    ended_at: row["ended_at"] as number | null,
    outcome: row["outcome"] as Session["outcome"],
    log_bytes: Number(row["log_bytes"]),
    log_kept: Number(row["log_kept"]),
    metrics: tallyOf(row).metrics,
  };
}
