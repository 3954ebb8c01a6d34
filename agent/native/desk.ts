// SPDX-License-Identifier: Apache-2.0

/**
 * What was said to the agent, and what it answers. One turn at a time; what comes while it works is taken into that turn
 * at its next safe point, and that turn's end answers it too.
 */
import type { AgentEvent } from "../../src/agent/event.ts";
import { type End, NativeAgent, type NativeAgentOptions } from "../../src/agent/native/mod.ts";
import { Session, type Steering } from "../../src/agent/native/mod.ts";
import type { Message } from "../driver/room.ts";

export interface Task {
  /** null: from its terminal. */
  readonly message: Message | null;
  readonly text: string;
}

export interface DeskOptions {
  readonly agent: Omit<NativeAgentOptions, "session" | "emit" | "takeMessages">;
  readonly sessionFile: string;
  readonly emit: (event: AgentEvent) => void | Promise<void>;
  /** Resolves when it was said. */
  readonly answer: (message: Message, text: string) => Promise<void>;
}

export class Desk {
  readonly #options: DeskOptions;
  readonly #tasks: Task[] = [];
  /** Room messages of the turn that goes on. */
  #asked: Message[] = [];
  #turn = new AbortController();
  #wake = Promise.withResolvers<void>();
  #session: Session;

  private constructor(options: DeskOptions, session: Session) {
    this.#options = options;
    this.#session = session;
  }

  static async open(options: DeskOptions): Promise<Desk> {
    const dir = options.sessionFile.replace(/\/[^/]*$/, "");
    await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
    return new Desk(options, await Session.open(options.sessionFile, options.agent.model));
  }

  /** What was not answered before a restart, oldest first, and what came since. */
  add(...tasks: readonly Task[]): void {
    for (const task of tasks) {
      // In the conversation already: only its answer is missing.
      if (task.message !== null && this.#session.has(task.message.id)) {
        this.#asked.push(task.message);
      } else this.#tasks.push(task);
    }
    this.#wake.resolve();
  }

  /** Ends the turn that goes on. */
  interrupt(): void {
    this.#turn.abort();
  }

  /** The conversation so far is put away, and another begins; between two turns. */
  async #beginAnew(): Promise<void> {
    const { sessionFile, agent } = this.#options;
    this.#session[Symbol.dispose]();
    await Deno.rename(sessionFile, `${sessionFile}.${Date.now()}`);
    this.#session = await Session.open(sessionFile, agent.model);
  }

  /** One turn after the other, until `signal` aborts. */
  async work(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.#wake.resolve(), { once: true });
    while (!signal.aborted) {
      if (this.#asked.length > 0 || this.#session.isOpen) {
        await this.#finish(await this.#run(null));
        continue;
      }
      const [task] = this.#take(1);
      if (task === undefined) {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      } else if (task.text.trim().endsWith(NEW_SESSION)) {
        await this.#beginAnew();
        if (task.message !== null) await this.#options.answer(task.message, "I begin anew.");
      } else {
        await this.#finish(await this.#run(this.#admitted(task)));
      }
    }
  }

  #take(most: number): Task[] {
    return this.#tasks.splice(0, most);
  }

  #admitted({ message, text }: Task): Steering {
    if (message === null) return { text };
    this.#asked.push(message);
    return { text, source: message.id };
  }

  async #run(message: Steering | null): Promise<End> {
    const { agent, emit } = this.#options;
    this.#turn = new AbortController();
    const it = new NativeAgent({
      ...agent,
      session: this.#session,
      emit,
      takeMessages: () => {
        // What begins anew waits for the end of what goes on; so does another room, which has its own answer.
        const room = this.#asked[0]?.room;
        const until = this.#tasks.findIndex(({ message, text }) =>
          text.trim().endsWith(NEW_SESSION) ||
          (room !== undefined && message !== null && message.room !== room)
        );
        const most = until === -1 ? this.#tasks.length : until;
        return this.#take(most).map((task) => this.#admitted(task));
      },
    });
    return await it.run(message, this.#turn.signal);
  }

  /** The newest of each room is answered: answers are given in order, so those before it have theirs. */
  async #finish(end: End): Promise<void> {
    const newest = new Map(this.#asked.map((message) => [message.room, message]));
    for (const message of newest.values()) await this.#options.answer(message, answerOf(end));
    this.#asked = [];
  }
}

export const NEW_SESSION = "!new";

function answerOf({ status, result, error }: End): string {
  if (status === "completed") return result ?? "";
  return status === "cancelled" ? "Stopped." : `I failed: ${error ?? "for an unknown reason"}`;
}
