// SPDX-License-Identifier: Apache-2.0

/**
 * One program that lives on: gives it messages, collects each answer, and starts it again with the same session when
 * it dies.
 */
import { messageOf } from "../../src/lib/errors.ts";
import type { AgentEvent } from "../../src/agent/event.ts";
import {
  type Driver,
  DriverError,
  type DriverSession,
  type StartOptions,
} from "../../src/agent/driver/mod.ts";
import { Queue } from "../../src/agent/driver/queue.ts";
import type { End, Engine, Task, Turn } from "../room/pump.ts";
import { say } from "./terminal.ts";
import type { StateFile } from "./state.ts";

export interface WorkerOptions extends Omit<StartOptions, "resume"> {
  readonly driver: Driver;
  readonly state: StateFile;
  /** Told everything that the program does. */
  readonly onEvent: (event: AgentEvent) => void;
  /** Told that its turn is to end. */
  readonly onInterrupt?: () => void;
}

const AGAIN =
  "You were started anew while you worked on the following message, and may have done a part of it. Go on.\n\n";

export class Worker implements Engine {
  readonly isOpen = false;
  readonly #options: WorkerOptions;
  #session: DriverSession | null = null;
  #reading: Promise<void> = Promise.resolve();
  /** By id, in order: what is in no turn that has ended. */
  readonly #open = new Map<string, string>();
  readonly #turns = new Queue<Turn>();
  readonly #ended = this.#turns[Symbol.asyncIterator]();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  has(id: string): boolean {
    return this.#options.state.now.given.includes(id);
  }

  async give({ id, message, text }: Task): Promise<void> {
    const { state } = this.#options;
    const isAgain = this.has(id);
    if (!isAgain && message !== null) await state.change({ given: [...state.now.given, id] });
    await this.#send(id, isAgain ? AGAIN + text : text);
  }

  async next(): Promise<Turn> {
    const turn = await this.#ended.next();
    return turn.value;
  }

  async done(ids: readonly string[]): Promise<void> {
    const { state } = this.#options;
    await state.change({ given: state.now.given.filter((id) => !ids.includes(id)) });
  }

  interrupt(): void {
    this.#options.onInterrupt?.();
    this.#session?.interrupt();
  }

  async beginAnew(): Promise<void> {
    await this.stop();
    await this.#options.state.change({ session_id: null, usd: 0 });
  }

  async stop(): Promise<void> {
    const session = this.#session;
    this.#session = null;
    await session?.close();
    await this.#reading;
  }

  async #send(id: string, text: string): Promise<void> {
    this.#open.set(id, text);
    try {
      this.#session ??= this.#start();
      this.#session.send(text, { id, steers: true });
    } catch (thrown) {
      // It has just died: what is open is given to the next.
      if (thrown instanceof DriverError && thrown.code === "ended") await this.#reading;
      else this.#fail(messageOf(thrown));
    }
  }

  #start(): DriverSession {
    const { driver, state, onEvent: _, onInterrupt: __, ...options } = this.#options;
    const { session_id, usd } = state.now;
    const session = driver.start({
      ...options,
      ...(session_id === null ? {} : { resume: { session_id, usd } }),
    });
    this.#reading = this.#read(session, session_id !== null)
      .catch((thrown) => this.#fail(messageOf(thrown)));
    return session;
  }

  /** Until the program has ended. */
  async #read(session: DriverSession, isResumed: boolean): Promise<void> {
    const { driver, state, onEvent } = this.#options;
    /** Of the turn that goes on. */
    let had: string[] = [];
    let turns = 0;
    let isLost = false;
    let why = "the program has ended";
    const finish = (end: End) => {
      for (const id of had) this.#open.delete(id);
      this.#turns.push({ end, ids: had });
      had = [];
      turns++;
    };
    for await (const event of session.events) {
      onEvent(event);
      if (event.type === "session" && event.session_id !== state.now.session_id) {
        await state.change({ session_id: event.session_id });
      } else if (event.type === "cost") await state.change({ usd: event.usd });
      else if (event.type === "prompt" && event.id !== undefined) had.push(event.id);
      else if (event.type === "end") {
        why = event.error ?? why;
        isLost ||= isResumed && driver.lost?.test(why) === true;
        // One without a prompt: of a message that the agent never had.
        if (!isLost && had.length > 0) finish(event);
      }
    }
    if (isLost) {
      // What it kept of the session is gone: better anew than never again.
      say(`the session ${state.now.session_id} cannot be gone on with; a new one begins`);
      await state.change({ session_id: null, usd: 0 });
    } else if (had.length > 0) finish({ type: "end", status: "error", result: null, error: why });
    if (this.#session !== session) return;
    this.#session = null;
    // A program that does nothing at all is not started again and again.
    if (!isLost && turns === 0) this.#fail(why);
    for (const [id, text] of [...this.#open]) await this.#send(id, text);
  }

  /** Everything that is open. */
  #fail(error: string): void {
    const ids = [...this.#open.keys()];
    this.#open.clear();
    if (ids.length > 0) {
      this.#turns.push({ end: { type: "end", status: "error", result: null, error }, ids });
    }
  }
}
