// SPDX-License-Identifier: Apache-2.0

/** One assignment at an executor: however that one behaves, the run ends, and ends once. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Executor } from "./executor.ts";
import type { Outcome, RunFrame, WorkerMessage } from "./frames.ts";
import type { Outbox } from "./outbox.ts";

/** How long an executor may take to notice that its run is over. */
export const CANCEL_GRACE_MS = 3_000;
/** How long a question waits for an answer. */
export const APPROVAL_DEADLINE_MS = 300_000;
/** What the parent may say before the executor takes any of it. */
const MAX_MESSAGES = 256;

export interface RunOptions {
  readonly executor: Executor;
  readonly frame: RunFrame;
  readonly outbox: Outbox;
  /** `limits.run_timeout_secs`; the parent has a watch of its own. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

export class Run {
  /** Never rejects. */
  readonly ended: Promise<Outcome>;
  readonly #options: RunOptions;
  readonly #clock: Clock;
  readonly #abort = new AbortController();
  readonly #pending = new Map<string, (approved: boolean) => void>();
  readonly #messages: string[] = [];
  #told = Promise.withResolvers<void>();
  #over = false;
  #failure: string | null = null;
  #leftBehind = false;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.ended = this.#run();
  }

  /** Its executor did not stop: this process is of no use for another run. */
  get leftBehind(): boolean {
    return this.#leftBehind;
  }

  cancel(): void {
    this.#abort.abort(new DOMException("The run was cancelled", "AbortError"));
  }

  message(text: string): void {
    if (this.#over || this.#messages.length >= MAX_MESSAGES) return;
    this.#messages.push(text);
    this.#told.resolve();
  }

  /** An id that nobody waits for, or no longer, is nothing. */
  answer(id: string, approved: boolean): void {
    this.#pending.get(id)?.(approved);
  }

  async #run(): Promise<Outcome> {
    const { signal } = this.#abort;
    const finished = new AbortController();
    this.#limit(finished.signal);
    let outcome: Outcome;
    try {
      outcome = await Promise.race([this.#execute(), this.#giveUp(signal, finished.signal)]);
    } finally {
      this.#over = true;
      finished.abort();
      this.#told.resolve();
      for (const answer of this.#pending.values()) answer(false);
    }
    if (this.#failure !== null) return { status: "error", error: this.#failure };
    return signal.aborted ? { status: "cancelled" } : outcome;
  }

  async #execute(): Promise<Outcome> {
    const { assignment, reasoning_effort, messages } = this.#options.frame;
    try {
      const result = await this.#options.executor.run({
        assignment,
        ...(reasoning_effort === undefined ? {} : { reasoningEffort: reasoning_effort }),
        ...(messages === undefined ? {} : { messages }),
        runId: crypto.randomUUID(),
        signal: this.#abort.signal,
        emit: (event) => this.#emit(event),
        approve: (body) => this.#approve(body),
        takeMessages: () => this.#take(),
        messageComes: () => this.#told.promise,
      });
      return { status: "completed", result: String(result) };
    } catch (thrown) {
      return { status: "error", error: messageOf(thrown) };
    }
  }

  /** For an executor that goes on though its run is over. */
  async #giveUp(signal: AbortSignal, finished: AbortSignal): Promise<Outcome> {
    if (!signal.aborted) {
      await new Promise<void>((resolve) =>
        signal.addEventListener("abort", () => resolve(), { once: true })
      );
    }
    await this.#clock.sleep(CANCEL_GRACE_MS, finished);
    this.#leftBehind = true;
    return { status: "cancelled" };
  }

  #limit(finished: AbortSignal): void {
    const { timeoutMs } = this.#options;
    if (timeoutMs === undefined) return;
    this.#clock.sleep(Math.min(timeoutMs, 2 ** 31 - 1), finished).then(() => {
      this.#fail(`it took longer than the ${timeoutMs / 1000} s of its run_timeout_secs`);
    }, () => {});
  }

  /** Never rejects: an executor that doesn't wait for it would end the worker by that. */
  async #emit(event: unknown): Promise<void> {
    const { signal } = this.#abort;
    // The parent was told that it is over, or wants it to be.
    if (this.#over || signal.aborted) return;
    const frame: WorkerMessage = { kind: "event", event: event as null };
    const aborted = Promise.withResolvers<void>();
    const onAbort = () => aborted.resolve();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await Promise.race([this.#options.outbox.event(JSON.stringify(frame)), aborted.promise]);
    } catch (thrown) {
      this.#fail(messageOf(thrown));
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** It ends, and not because somebody cancelled it. */
  #fail(error: string): void {
    this.#failure ??= error;
    this.cancel();
  }

  async #approve(body: unknown): Promise<boolean> {
    if (this.#over || this.#abort.signal.aborted) return false;
    const id = `sa-${crypto.randomUUID()}`;
    const answered = Promise.withResolvers<boolean>();
    const done = new AbortController();
    this.#pending.set(id, answered.resolve);
    const deny = () => answered.resolve(false);
    this.#abort.signal.addEventListener("abort", deny, { once: true });
    try {
      const frame: WorkerMessage = { kind: "approval_request", id, body: body as null };
      if (!this.#options.outbox.control(JSON.stringify(frame))) return false;
      this.#clock.sleep(APPROVAL_DEADLINE_MS, done.signal).then(deny, () => {});
      return await answered.promise;
    } finally {
      done.abort();
      this.#pending.delete(id);
      this.#abort.signal.removeEventListener("abort", deny);
    }
  }

  #take(): string[] {
    if (!this.#over) this.#told = Promise.withResolvers();
    return this.#messages.splice(0);
  }
}
