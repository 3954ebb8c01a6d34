// SPDX-License-Identifier: Apache-2.0

/**
 * One program that lives on: gives it messages, collects each answer, and starts it again with the same session when
 * it dies.
 */
import { messageOf } from "../../src/lib/errors.ts";
import type { AgentEvent } from "../../src/agent/event.ts";
import type { Driver, DriverSession, StartOptions } from "../../src/agent/driver/mod.ts";
import { render, say } from "./terminal.ts";
import type { StateFile } from "./state.ts";

export type End = Extract<AgentEvent, { type: "end" }>;

export interface WorkerOptions extends Omit<StartOptions, "resume"> {
  readonly driver: Driver;
  readonly state: StateFile;
  /** Told when what it does has changed. */
  readonly onState: (event: Extract<AgentEvent, { type: "state" }>) => void;
}

export class Worker {
  readonly #options: WorkerOptions;
  #session: DriverSession | null = null;
  #ended = Promise.withResolvers<End>();
  #reading: Promise<void> = Promise.resolve();

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** One message after another. */
  async ask(text: string): Promise<End> {
    const { driver, state } = this.#options;
    const first = await this.#turn(text);
    if (first.status !== "error" || driver.lost?.test(first.error ?? "") !== true) return first;
    // What it kept of the session is gone: better anew than never again.
    say(`the session ${state.now.session_id} cannot be gone on with; a new one begins`);
    await this.#reading;
    await state.change({ session_id: null, usd: 0 });
    return await this.#turn(text);
  }

  async #turn(text: string): Promise<End> {
    this.#ended = Promise.withResolvers();
    try {
      this.#session ??= this.#start();
      this.#session.send(text);
    } catch (thrown) {
      return { type: "end", status: "error", result: null, error: messageOf(thrown) };
    }
    return await this.#ended.promise;
  }

  interrupt(): void {
    this.#session?.interrupt();
  }

  async stop(): Promise<void> {
    await this.#session?.close();
    await this.#reading;
  }

  #start(): DriverSession {
    const { driver, state, onState: _, ...options } = this.#options;
    const { session_id, usd } = state.now;
    const session = driver.start({
      ...options,
      ...(session_id === null ? {} : { resume: { session_id, usd } }),
    });
    this.#reading = this.#read(session).catch((thrown) => say(messageOf(thrown)));
    return session;
  }

  async #read(session: DriverSession): Promise<void> {
    const { state, onState } = this.#options;
    for await (const event of session.events) {
      const line = render(event);
      if (line !== null) console.log(line);
      switch (event.type) {
        case "session":
          if (event.session_id !== state.now.session_id) {
            await state.change({ session_id: event.session_id });
          }
          break;
        case "cost":
          await state.change({ usd: event.usd });
          break;
        case "state":
          onState(event);
          break;
        case "end":
          this.#ended.resolve(event);
          break;
      }
    }
    if (this.#session === session) this.#session = null;
    // Nobody waits for one that no longer comes.
    this.#ended.resolve({
      type: "end",
      status: "error",
      result: null,
      error: "the program has ended",
    });
  }
}
