// SPDX-License-Identifier: Apache-2.0

/** Bureau's own loop, a turn at a time; its conversation is in a file, so that it goes on where it was killed. */
import type { AgentEvent, TokenUsage } from "../../src/agent/event.ts";
import {
  Keeper,
  NativeAgent,
  type NativeAgentOptions,
  Session,
  spendOn,
} from "../../src/agent/native/mod.ts";
import type { Recorder } from "../../src/agent/recorder/mod.ts";
import type { Engine, Task, Turn } from "../room/pump.ts";

export interface NativeEngineOptions {
  readonly agent: Omit<NativeAgentOptions, "session" | "emit" | "takeMessages">;
  readonly sessionFile: string;
  /** Tells the agent service. */
  readonly recorder: Recorder;
  readonly emit: (event: AgentEvent) => void | Promise<void>;
}

export class NativeEngine implements Engine {
  readonly #options: NativeEngineOptions;
  /** What the loop takes at its next safe point. */
  readonly #inbox: Task[] = [];
  /** In the conversation, and in no turn that has ended. */
  #had: string[] = [];
  #turn = new AbortController();
  readonly #keeper: Keeper;
  #session: Session;

  private constructor(options: NativeEngineOptions, keeper: Keeper, session: Session) {
    this.#options = options;
    this.#keeper = keeper;
    this.#session = session;
  }

  static async open(options: NativeEngineOptions): Promise<NativeEngine> {
    const dir = options.sessionFile.replace(/\/[^/]*$/, "");
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    const { sessionFile, agent, recorder } = options;
    const keeper = new Keeper(recorder);
    // Its home is new, or was lost.
    const isNew = await Deno.stat(sessionFile).then(() => false, () => true);
    if (isNew) await keeper.restore(sessionFile, agent.model, false);
    const session = await Session.open(sessionFile, agent.model, keeper.line);
    return new NativeEngine(options, keeper, session);
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
    const { agent } = this.#options;
    const isBegun = this.#had.length > 0 || this.#session.isOpen;
    const [first = null] = isBegun ? [] : this.#take(1);
    const it = new NativeAgent({
      ...agent,
      session: this.#session,
      emit: this.#emit,
      takeMessages: () => this.#take(this.#inbox.length),
    });
    const end = await it.run(first, this.#turn.signal);
    this.#keeper.commit(this.#session, end.result ?? end.error ?? end.status);
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
    const { agent: { limits = {} } } = this.#options;
    await spendOn({ session: this.#session, limits, emit: this.#emit }, by, usage, usd);
  }

  interrupt(): void {
    // What comes after an idle time is not meant.
    if (this.isOpen || this.#had.length + this.#inbox.length > 0) this.#turn.abort();
  }

  async beginAnew(): Promise<void> {
    const { sessionFile, agent } = this.#options;
    this.#session[Symbol.dispose]();
    await Deno.rename(sessionFile, `${sessionFile}.${Date.now()}`);
    await this.#keeper.restore(sessionFile, agent.model, true);
    this.#session = await Session.open(sessionFile, agent.model, this.#keeper.line);
  }

  readonly #emit = async (event: AgentEvent): Promise<void> => {
    this.#options.recorder.event(event);
    await this.#options.emit(event);
  };

  #take(most: number): { text: string; source: string }[] {
    return this.#inbox.splice(0, most).map(({ id, text }) => {
      this.#had.push(id);
      return { text, source: id };
    });
  }
}
