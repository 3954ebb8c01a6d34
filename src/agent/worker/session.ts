// SPDX-License-Identifier: Apache-2.0

/** One parent at one worker, for as long as its connection stands: run after run, one at a time. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Executor } from "./executor.ts";
import { type Outcome, readParentFrame, type RunFrame, type WorkerMessage } from "./frames.ts";
import { Outbox, type Pipe } from "./outbox.ts";
import { Run } from "./run.ts";

export interface SessionOptions {
  readonly executor: Executor;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** What a parent may say to a run that has not begun. */
const MAX_EARLY = 256;

export class Session {
  readonly #outbox: Outbox;
  readonly #options: SessionOptions;
  #run: Run | null = null;
  /** Runs follow each other: the next begins when the one before has ended. */
  #turn: Promise<void> = Promise.resolve();
  #next: RunFrame | null = null;
  #early: string[] = [];
  #leftBehind = false;
  #closed = false;

  constructor(pipe: Pipe, options: SessionOptions) {
    this.#outbox = new Outbox(pipe, options.clock ?? systemClock);
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#run !== null || this.#next !== null;
  }

  /** @param data of a WebSocket's message */
  receive(data: unknown): void {
    const frame = this.#closed ? null : readParentFrame(data);
    switch (frame?.kind) {
      case "run":
        this.#begin(frame);
        break;
      case "cancel":
        this.#cancelNext();
        this.#run?.cancel();
        break;
      case "message":
        // For the run that was asked for last, though it waits for the end of another.
        if (this.#next !== null && this.#early.length < MAX_EARLY) this.#early.push(frame.text);
        else this.#run?.message(frame.text);
        break;
      case "approval_reply":
        this.#run?.answer(frame.id, frame.approved);
    }
  }

  /** Resolves when nothing runs, and all that was said is on its way. */
  async settled(): Promise<void> {
    while (this.isRunning) await this.#turn;
    await this.#turn;
    await this.#outbox.flushed();
  }

  /** The parent is gone. @returns whether this process may have another: all that ran has ended */
  async close(): Promise<boolean> {
    this.#closed = true;
    this.#next = null;
    this.#outbox.close();
    this.#run?.cancel();
    await this.#turn;
    return !this.#leftBehind;
  }

  /** Another assignment ends the one before it, whose terminal comes first. */
  #begin(frame: RunFrame): void {
    this.#cancelNext();
    this.#next = frame;
    this.#run?.cancel();
    this.#turn = this.#turn.then(() => this.#serve(frame));
  }

  async #serve(frame: RunFrame): Promise<void> {
    // It was overtaken before it began.
    if (this.#next !== frame || this.#closed) return;
    this.#next = null;
    const { clock, timeoutMs, executor } = this.#options;
    const run = new Run({
      executor,
      frame,
      outbox: this.#outbox,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(clock === undefined ? {} : { clock }),
    });
    this.#run = run;
    for (const text of this.#early.splice(0)) run.message(text);
    const outcome = await run.ended;
    this.#run = null;
    if (run.leftBehind) this.#leftBehind = true;
    await this.#tell(outcome);
  }

  /** One that waits has a terminal too, like every run that was asked for. */
  #cancelNext(): void {
    if (this.#next === null) return;
    this.#next = null;
    this.#early = [];
    this.#turn = this.#turn.then(() => this.#tell({ status: "cancelled" }));
  }

  async #tell(outcome: Outcome): Promise<void> {
    // All events come before it.
    await this.#outbox.flushed();
    const frame: WorkerMessage = { kind: "terminal", ...outcome };
    // A queue full of questions that nobody took: the last word must find room.
    while (!this.#closed && !this.#outbox.control(JSON.stringify(frame))) {
      await this.#outbox.flushed();
    }
  }
}
