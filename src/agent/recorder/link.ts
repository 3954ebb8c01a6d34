// SPDX-License-Identifier: Apache-2.0

/** The agent service, as one program tells it of one session after the other. */
import { type Client, createClient, HttpApiError } from "../../lib/http/mod.ts";
import { agentServiceApi, type Checkpoint, type Commit } from "../../services/agent/api.ts";

export interface LinkOptions {
  readonly program: string;
  readonly socket: string;
  /** Read for each request: it is replaced. */
  readonly tokenFile: string;
}

/** A piece of a log; `sentAt`: where it went when it was tried before. */
export interface Piece {
  bytes: Uint8Array<ArrayBuffer>;
  sentAt: number | null;
}

export type About = Omit<Checkpoint, "parent" | "session_id">;

/** A commit; `after`: what it followed when it was tried before. */
export interface Told {
  readonly about: About;
  readonly content: string;
  after?: string | null;
}

export class Link {
  readonly #options: LinkOptions;
  readonly #client: Client<typeof agentServiceApi>;
  #open: { readonly session: string; offset: number; parent: string | null } | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#client = createClient(agentServiceApi, {
      socket: options.socket,
      token: () => Deno.readTextFile(options.tokenFile),
      peer: "agent service",
    });
  }

  /** Whether anybody fills the role. */
  async isThere(): Promise<boolean> {
    return await Deno.stat(this.#options.tokenFile).then(() => true, () => false);
  }

  /** What was told last may have been heard or not: the next call asks. */
  lost(): void {
    this.#open = null;
  }

  /** Each line of it is in the log once, whatever broke in between. */
  async append(session: string, piece: Piece): Promise<void> {
    const open = await this.#begin(session);
    if (piece.sentAt !== null) {
      const heard = open.offset - piece.sentAt;
      if (heard > 0 && heard <= piece.bytes.length) piece.bytes = piece.bytes.slice(heard);
    }
    piece.sentAt = open.offset;
    if (piece.bytes.length === 0) return;
    const { log_bytes } = await this.#client.call("appendLog", {
      ...{ params: { session }, query: { offset: String(open.offset) } },
      bytes: piece.bytes,
    });
    open.offset = log_bytes;
  }

  /** Follows the one before it, of this session; tried again it is the same commit. */
  async commit(session: string, told: Told): Promise<void> {
    const open = await this.#begin(session);
    const { about, content, after = open.parent } = told;
    told.after = after;
    const checkpoint: Checkpoint = { ...about, parent: after, session_id: session };
    const bytes = new TextEncoder().encode(`${JSON.stringify(checkpoint)}\n${content}`);
    const { id } = await this.#client.call("checkpoint", { params: { agent: "me" }, bytes });
    open.parent = id;
  }

  async end(): Promise<void> {
    if (this.#open === null) return;
    await this.#client.call("endSession", { params: { session: this.#open.session } });
    this.#open = null;
  }

  /** Where one's context is now. */
  async tip(): Promise<Commit | null> {
    const params = { agent: "me" };
    const { tip } = await this.#client.call("commits", { params, query: { limit: "1" } });
    if (tip === null) return null;
    return await this.#client.call("commit", { params: { ...params, commit: tip } });
  }

  async materialise(commit: string): Promise<string> {
    const params = { agent: "me", commit };
    return await new Response(await this.#client.stream("materialise", { params })).text();
  }

  async #begin(session: string) {
    if (this.#open?.session === session) return this.#open;
    const started = await this.#start(session);
    const tip = await this.tip();
    // Of this session, or what an operator put there for the next one.
    const follows = tip !== null && (tip.session_id === session || tip.session_id === null);
    return this.#open = { session, offset: started.log_bytes, parent: follows ? tip.id : null };
  }

  /** No other program of this agent runs: a session that goes on is one that nobody ended. */
  async #start(session: string) {
    const body = { session_id: session, program: this.#options.program };
    try {
      return await this.#client.call("startSession", { body });
    } catch (thrown) {
      if (!(thrown instanceof HttpApiError) || thrown.code !== "session-active") throw thrown;
      const { active } = await this.#client.call("sessions", { params: { agent: "me" } });
      const supersede = active === null ? {} : { supersede: active.session_id };
      return await this.#client.call("startSession", { body: { ...body, ...supersede } });
    }
  }

  close(): void {
    this.#client.close();
  }
}
