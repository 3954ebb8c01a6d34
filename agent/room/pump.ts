// SPDX-License-Identifier: Apache-2.0

/**
 * From what is said to an agent to its turns, and from their ends to answers. One turn at a time. What belongs to the
 * turn that goes on is handed to it; everything else waits, in order. Each message is answered once, several by one
 * answer where they were of one turn.
 */
import type { AgentEvent } from "../../src/agent/event.ts";
import type { Message } from "./room.ts";
import { isInterrupt } from "./talk.ts";
import type { Steering } from "./payload.ts";

export type End = Extract<AgentEvent, { type: "end" }>;

export interface Task {
  readonly id: string;
  /** null: from its terminal. */
  readonly message: Message | null;
  /** As the agent gets it. */
  readonly text: string;
}

/** A turn that has ended, and the tasks that its agent had in it. */
export interface Turn {
  readonly end: End;
  readonly ids: readonly string[];
}

/** Who does the work. */
export interface Engine {
  /** A turn of before a restart is to be ended, whether or not anybody waits for it. */
  readonly isOpen: boolean;
  /** Whether it was given this before a restart. */
  has(id: string): boolean;
  /** Begins a turn with it; or, while one goes on, has the agent get it at its next safe point. */
  give(task: Task): Promise<void>;
  /** The next turn that ends. What was given and is in none, is in one of the next. */
  next(): Promise<Turn>;
  /** These are answered. */
  done(ids: readonly string[]): Promise<void>;
  /** Ends the turn that goes on, soon. */
  interrupt(): void;
  /** The conversation so far is put away, and another begins; between two turns. */
  beginAnew(): Promise<void>;
}

export interface PumpOptions {
  readonly engine: Engine;
  readonly steering: Steering;
  /**
   * Resolves when it was said.
   * @param messages of one turn and one room, oldest first
   * @param open the oldest of that room that has no answer yet, besides these
   */
  readonly answer: (
    messages: readonly Message[],
    text: string,
    open: string | null,
  ) => Promise<void>;
}

/** Where several are in a room, behind the name of who is meant. */
const NEW_SESSION = /^\s*(@\S+\s+)?!new\s*$/;
/** At the beginning of a task that is none of the turn that goes on. */
const QUEUE = /^\s*(@\S+\s+)?!queue\s+/;

interface Said extends Task {
  /** As it was written. */
  readonly said: string;
  /** Its place among all. */
  readonly at: number;
}

export class Pump {
  readonly #options: PumpOptions;
  readonly #waiting: Said[] = [];
  /** Given, and not answered. */
  readonly #given = new Map<string, Said>();
  #giving: Promise<void> = Promise.resolve();
  /** Of before a restart; somebody wanted them to end. */
  readonly #unwanted = new Set<string>();
  #wake = Promise.withResolvers<void>();
  #count = 0;
  #isAtWork = false;

  constructor(options: PumpOptions) {
    this.#options = options;
  }

  /** What people wrote, oldest first; each once. */
  hear(messages: readonly Message[]): void {
    for (const message of messages) this.#add(message, message.text);
  }

  /** A line of its terminal. */
  type(line: string): void {
    if (line.trim() !== "") this.#add(null, line);
  }

  /** A message that was given, and has no answer. */
  find(id: string): Message | null {
    return this.#given.get(id)?.message ?? null;
  }

  #add(message: Message | null, said: string): void {
    const { engine } = this.#options;
    if (isInterrupt(said)) {
      // It does not wait for its turn; the turn's own answer says that it was stopped.
      // What is read again after a restart is older than what it would stop.
      if (this.#isAtWork || this.#given.size > 0) engine.interrupt();
      for (const { id } of this.#waiting) if (engine.has(id)) this.#unwanted.add(id);
      return;
    }
    const text = said.replace(QUEUE, "$1");
    const at = ++this.#count;
    const task = {
      id: message?.id ?? `typed-${crypto.randomUUID()}`,
      message,
      said,
      at,
      text: message === null ? text : `${message.sender}: ${text}`,
    };
    this.#waiting.push(task);
    this.#steer();
    this.#wake.resolve();
  }

  /** Until `signal` aborts. A turn that goes on then is not waited for. */
  async work(signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<null>();
    signal.addEventListener("abort", () => aborted.resolve(null), { once: true });
    const { engine } = this.#options;
    while (!signal.aborted) {
      if (this.#given.size === 0 && !await this.#begin() && !engine.isOpen) {
        await Promise.race([this.#wake.promise, aborted.promise]);
        this.#wake = Promise.withResolvers();
        continue;
      }
      this.#steer();
      this.#isAtWork = true;
      const turn = await Promise.race([engine.next(), aborted.promise]);
      this.#isAtWork = false;
      await this.#giving;
      // Who was stopped in the middle goes on with it at the next start.
      if (turn !== null && !signal.aborted) await this.#finish(turn);
    }
  }

  /** @returns whether there is a turn now */
  async #begin(): Promise<boolean> {
    const { engine } = this.#options;
    while (true) {
      // First what it was killed over.
      const begun = this.#waiting.findIndex(({ id }) => engine.has(id));
      const [task] = this.#waiting.splice(Math.max(0, begun), 1);
      if (task === undefined) return false;
      if (NEW_SESSION.test(task.said)) {
        await engine.beginAnew();
        await this.#answer([task], "I begin anew.");
        continue;
      }
      this.#given.set(task.id, task);
      await engine.give(task);
      if (this.#unwanted.has(task.id)) engine.interrupt();
      return true;
    }
  }

  /** Hands over what belongs to the turn that goes on. */
  #steer(): void {
    const { engine } = this.#options;
    if (this.#given.size === 0) return;
    for (const task of this.#forThisTurn()) {
      this.#waiting.splice(this.#waiting.indexOf(task), 1);
      this.#given.set(task.id, task);
      this.#giving = this.#giving.then(() => engine.give(task));
    }
  }

  #forThisTurn(): Said[] {
    // What is said after a new beginning was asked for is for the new one.
    const anew = this.#waiting.findIndex(({ said }) => NEW_SESSION.test(said));
    return this.#waiting.slice(0, anew === -1 ? undefined : anew).filter((task) =>
      !QUEUE.test(task.said) && this.#isPartOfIt(task)
    );
  }

  #isPartOfIt({ message }: Said): boolean {
    const { steering } = this.#options;
    if (steering === "nobody") return false;
    // Who sits at its terminal sees what it does.
    if (message === null) return true;
    const asked = [...this.#given.values()].flatMap(({ message }) => message ?? []);
    // Another room has an answer of its own.
    if (asked.some(({ room }) => room !== message.room)) return false;
    return steering === "everyone" ||
      asked.some((one) => one.sender === message.sender || threadOf(one) === message.thread);
  }

  async #finish({ end, ids }: Turn): Promise<void> {
    const tasks = [...this.#given.values()].filter(({ id }) => ids.includes(id))
      .sort((one, other) => one.at - other.at);
    for (const { id } of tasks) this.#given.delete(id);
    await this.#answer(tasks, answerOf(end));
    await this.#options.engine.done(ids);
  }

  async #answer(tasks: readonly Task[], text: string): Promise<void> {
    const messages = tasks.flatMap(({ message }) => message ?? []);
    const [first] = messages;
    if (first === undefined) return;
    const open = [...this.#given.values(), ...this.#waiting]
      .sort((one, other) => one.at - other.at)
      .find(({ message }) => message?.room === first.room);
    await this.#options.answer(messages, text, open?.id ?? null);
  }
}

/** The thread that a message is in, or that is made of what is said to it there. */
function threadOf({ id, thread }: Message): string {
  return thread ?? id;
}

function answerOf({ status, result, error }: End): string {
  switch (status) {
    case "completed":
      return result ?? "";
    case "cancelled":
      return `Stopped.${result === null || result === "" ? "" : `\n\n${result}`}`;
    case "error":
      return `I failed: ${error ?? "for an unknown reason"}`;
  }
}
