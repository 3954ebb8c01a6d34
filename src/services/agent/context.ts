// SPDX-License-Identifier: Apache-2.0

/**
 * Context of agents as commits: each follows another, its id is the SHA-256 of what it says, so a chain can't be
 * changed, and the same commit made twice is one. Whose turn it is to read is not decided here.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../../lib/canonical/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Checkpoint, Commit } from "./api.ts";
import type { Database, Row } from "./database.ts";
import { AgentServiceError } from "./errors.ts";
import type { StoredContent } from "./files.ts";

/** Commits in what is materialised at once. */
export const MAX_CHAIN = 10_000;
/** Chains that are remembered; a chain never changes. */
const CACHED = 64;

/** What of a commit its chain needs. */
export interface Link {
  readonly id: string;
  readonly agent: string;
  readonly parent: string | null;
  readonly type: Commit["type"];
  readonly format: Commit["format"];
  readonly content: string;
  readonly bytes: number;
}

export interface ContextOptions {
  readonly database: Database;
  readonly clock: Pick<Clock, "now">;
  readonly changed: (agent: string) => void;
}

export class Context {
  readonly #options: ContextOptions;
  readonly #chains = new Map<string, readonly Link[]>();

  constructor(options: ContextOptions) {
    this.#options = options;
  }

  /** Whose a commit is. @throws {AgentServiceError} `no-such-commit` */
  ownerOf(id: string): string {
    const row = this.#options.database.one("SELECT agent FROM commits WHERE id = ?", id);
    if (row === undefined) throw unknown(id);
    return String(row["agent"]);
  }

  /** @throws {AgentServiceError} `no-such-commit`, also where it is another's */
  find(agent: string, id: string): Commit {
    const { database } = this.#options;
    const row = database.one("SELECT * FROM commits WHERE id = ? AND agent = ?", id, agent);
    if (row === undefined) throw unknown(id);
    return commitOf(row);
  }

  tip(agent: string): string | null {
    const row = this.#options.database.one("SELECT id FROM tips WHERE agent = ?", agent);
    return row === undefined ? null : String(row["id"]);
  }

  /** Newest first. @param from number of the page's first commit */
  list(agent: string, limit: number, from: number): { commits: Commit[]; next: string | null } {
    const rows = this.#options.database.all(
      "SELECT * FROM commits WHERE agent = ? AND number <= ? ORDER BY number DESC LIMIT ?",
      ...[agent, from, limit + 1],
    );
    const next = rows[limit];
    return {
      commits: rows.slice(0, limit).map(commitOf),
      next: next === undefined ? null : String(next["number"]),
    };
  }

  at(agent: string, time: number): Commit {
    const row = this.#options.database.one(
      "SELECT * FROM commits WHERE agent = ? AND created_at <= ? ORDER BY created_at DESC, number DESC LIMIT 1",
      ...[agent, time],
    );
    if (row !== undefined) return commitOf(row);
    throw new AgentServiceError(
      "no-such-commit",
      `Cannot find a commit: none was made by ${new Date(time).toISOString()}`,
      { status: 404 },
    );
  }

  /** It, and what it follows. Ends before another's, and where the rest was pruned. */
  history(agent: string, id: string, limit: number): { commits: Commit[]; next: string | null } {
    const commits: Commit[] = [];
    let next: string | null = this.find(agent, id).id;
    while (next !== null && commits.length < limit) {
      const row: Row | undefined = this.#options.database.one(
        "SELECT * FROM commits WHERE id = ? AND agent = ?",
        ...[next, agent],
      );
      if (row === undefined) break;
      const commit = commitOf(row);
      commits.push(commit);
      next = commit.parent;
    }
    return { commits, next };
  }

  /** @throws {AgentServiceError} `no-such-commit` for its parent, `mixed-formats` */
  commit(agent: string, checkpoint: Checkpoint, content: StoredContent): Commit {
    const { database, clock, changed } = this.#options;
    const id = idOf(agent, checkpoint, content);
    const { parent, type, format, session_id, checkpoint: at, summary, messages, tokens } =
      checkpoint;
    database.write(() => {
      if (parent !== null) this.#followable(parent, checkpoint);
      database.run(
        "INSERT INTO commits VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ...[id, agent, parent, type, format, content.hash, content.bytes, session_id, at],
        ...[summary ?? null, messages ?? null, tokens ?? null, clock.now()],
      );
      database.run("INSERT OR REPLACE INTO tips VALUES (?, ?)", agent, id);
    });
    changed(agent);
    return this.find(agent, id);
  }

  #followable(parent: string, { type, format }: Checkpoint): void {
    const row = this.#options.database.one("SELECT format FROM commits WHERE id = ?", parent);
    if (row === undefined) throw unknown(parent);
    if (type === "delta" && row["format"] !== format) {
      throw mixed(`${parent} is ${row["format"]}, and what shall follow it ${format}`);
    }
  }

  summarise(agent: string, id: string, summary: string): Commit {
    this.find(agent, id);
    this.#options.database.run("UPDATE commits SET summary = ? WHERE id = ?", summary, id);
    return this.find(agent, id);
  }

  /**
   * What is materialised for a commit, oldest first.
   * @param stop `compaction`, `root`, or the id of a commit that the chain begins with
   * @throws {AgentServiceError} `mixed-formats`, `pruned`, `chain-too-long`, `no-such-commit`
   */
  chain(id: string, stop: string): readonly Link[] {
    const key = `${id} ${stop}`;
    const known = this.#chains.get(key);
    if (known !== undefined) {
      // The last that was asked for goes last.
      this.#chains.delete(key);
      this.#chains.set(key, known);
      return known;
    }
    const chain = this.#walk(id, stop);
    this.#chains.set(key, chain);
    if (this.#chains.size > CACHED) this.#chains.delete(this.#chains.keys().next().value!);
    return chain;
  }

  #walk(id: string, stop: string): readonly Link[] {
    const links = this.#options.database.all(
      `WITH RECURSIVE chain AS (
         SELECT 0 AS n, id, agent, parent, type, format, content, bytes FROM commits WHERE id = ?1
         UNION ALL
         SELECT n + 1, c.id, c.agent, c.parent, c.type, c.format, c.content, c.bytes
         FROM chain JOIN commits c ON c.id = chain.parent
         WHERE n < ?3 AND chain.id <> ?2 AND (?2 <> 'compaction' OR chain.type = 'delta')
       ) SELECT * FROM chain ORDER BY n`,
      ...[id, stop, MAX_CHAIN],
    ) as unknown as Link[];
    const first = links.at(-1);
    if (first === undefined) throw unknown(id);
    if (links.length > MAX_CHAIN) {
      throw new AgentServiceError(
        "chain-too-long",
        `Cannot materialise "${id}": its chain has more than ${MAX_CHAIN} commits`,
        { status: 413, hint: "commit a snapshot, or name a commit of it as `stop`" },
      );
    }
    const isWhole = stop === "compaction" && first.type !== "delta";
    if (first.parent !== null && !isWhole && first.id !== stop) {
      throw new AgentServiceError(
        "pruned",
        `Cannot materialise "${id}": what "${first.id}" follows is kept no longer`,
        { status: 410, hint: "stop at the last compaction, or at that commit" },
      );
    }
    if (stop.startsWith("ctx-") && first.id !== stop) {
      throw new AgentServiceError("no-such-commit", `Cannot stop at "${stop}": not in the chain`, {
        status: 404,
      });
    }
    const other = links.find(({ format }) => format !== links[0]!.format);
    if (other !== undefined) {
      throw mixed(`"${id}" is ${links[0]!.format}, "${other.id}" before it ${other.format}`);
    }
    return links.reverse();
  }

  /** After commits went. */
  forgetChains(): void {
    this.#chains.clear();
  }
}

/** Not of its time: who tries again makes the same commit. */
function idOf(agent: string, checkpoint: Checkpoint, { hash }: StoredContent): string {
  const { parent, type, format, session_id, checkpoint: at } = checkpoint;
  const said = { version: 1, agent, parent, type, format, session_id, checkpoint: at, hash };
  return `ctx-${createHash("sha256").update(canonicalJson(said)).digest("hex")}`;
}

function unknown(id: string): AgentServiceError {
  return new AgentServiceError("no-such-commit", `Cannot find the commit "${id.slice(0, 100)}"`, {
    status: 404,
    hint: "`bureau agent context NAME list` shows those that there are",
  });
}

function mixed(why: string): AgentServiceError {
  return new AgentServiceError("mixed-formats", `Cannot join two formats: ${why}`, {
    status: 409,
    hint: "begin with a snapshot in the other format, or stop after it",
  });
}

function commitOf(row: Row): Commit {
  const optional = (name: "summary" | "messages" | "tokens") =>
    row[name] === null ? {} : { [name]: row[name] };
  return {
    id: String(row["id"]),
    agent: String(row["agent"]),
    parent: row["parent"] as string | null,
    type: row["type"] as Commit["type"],
    format: row["format"] as Commit["format"],
    session_id: row["session"] as string | null,
    checkpoint: row["checkpoint"] as Commit["checkpoint"],
    content: String(row["content"]),
    bytes: Number(row["bytes"]),
    created_at: Number(row["created_at"]),
    ...optional("summary"),
    ...optional("messages"),
    ...optional("tokens"),
  };
}
