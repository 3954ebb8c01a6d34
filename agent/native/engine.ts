// SPDX-License-Identifier: Apache-2.0

/** Bureau's own loop, a turn at a time; its conversation is in a file, so that it goes on where it was killed. */
import type { AgentEvent, TokenUsage } from "../../src/agent/event.ts";
import {
  NativeAgent,
  type NativeAgentOptions,
  Session,
  spendOn,
} from "../../src/agent/native/mod.ts";
import type { Engine, Task, Turn } from "../room/pump.ts";

export interface NativeEngineOptions {
  readonly agent: Omit<NativeAgentOptions, "session" | "emit" | "takeMessages">;
  readonly sessionFile: string;
  readonly emit: (event: AgentEvent) => void | Promise<void>;
}

export class NativeEngine implements Engine {
  readonly #options: NativeEngineOptions;
  /** What the loop takes at its next safe point. */
  readonly #inbox: Task[] = [];
  /** In the conversation, and in no turn that has ended. */
  #had: string[] = [];
  #turn = new AbortController();
  #session: Session;

  private constructor(options: NativeEngineOptions, session: Session) {
    this.#options = options;
    this.#session = session;
  }

  static async open(options: NativeEngineOptions): Promise<NativeEngine> {
    const dir = options.sessionFile.replace(/\/[^/]*$/, "");
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    return new NativeEngine(options, await Session.open(options.sessionFile, options.agent.model));
  }

  get isOpen(): boolean {
    return this.#session.isOpen;
  }

  has(id: string): boolean {
    return this.#session.has(id);
  }

  give(task: Task): Promise<void> {
    // In the conversation already: only its answer is missing.
    if (this.has(task.id)) this.#had.push(task.id);
    else this.#inbox.push(task);
    return Promise.resolve();
  }

  async next(): Promise<Turn> {
    const { agent, emit } = this.#options;
    const isBegun = this.#had.length > 0 || this.#session.isOpen;
    const [first = null] = isBegun ? [] : this.#take(1);
    const it = new NativeAgent({
      ...agent,
      session: this.#session,
      emit,
      takeMessages: () => this.#take(this.#inbox.length),
    });
    const end = await it.run(first, this.#turn.signal);
    const ids = this.#had;
    this.#had = [];
    this.#turn = new AbortController();
    return { end, ids };
  }

  done(): Promise<void> {
    return Promise.resolve();
  }

  /** What a worker of its own took. @throws {LimitError} when nothing is left */
  async spend(by: string, usage: TokenUsage | null, usd: number): Promise<void> {
    const { agent: { limits = {} }, emit } = this.#options;
    await spendOn({ session: this.#session, limits, emit }, by, usage, usd);
  }

  interrupt(): void {
    // What comes after an idle time is not meant.
    if (this.isOpen || this.#had.length + this.#inbox.length > 0) this.#turn.abort();
  }

  async beginAnew(): Promise<void> {
    const { sessionFile, agent } = this.#options;
    this.#session[Symbol.dispose]();
    await Deno.rename(sessionFile, `${sessionFile}.${Date.now()}`);
    this.#session = await Session.open(sessionFile, agent.model);
  }

  #take(most: number): { text: string; source: string }[] {
    return this.#inbox.splice(0, most).map(({ id, text }) => {
      this.#had.push(id);
      return { text, source: id };
    });
  }
}
