// SPDX-License-Identifier: Apache-2.0

/**
 * Workers of one kind that are kept warm: each run goes to the next that is idle, round robin; one that ends is replaced.
 * What can't be placed is refused, and never run anywhere else.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { ProvisionSpec } from "../provision/mod.ts";
import { HostError } from "./errors.ts";
import type { Held } from "./held.ts";

/** Workers that are asked before a placement is given up. */
const ATTEMPTS = 3;
/** Placements that wait for an idle worker. */
const MAX_WAITING = 1_000;
/** Between two failures to replace one. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;

export interface PoolOptions {
  readonly name: string;
  readonly size: number;
  /** As it was asked for, and `narrow` made it. */
  readonly spec: ProvisionSpec;
  /** Of `spec` (parent/key.ts). */
  readonly key: string;
  /** Makes the worker of this name; the pool hears of its end by `onEnd`. */
  start(name: string): Promise<Held>;
  readonly clock?: Clock;
}

export class HeldPool {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  /** By place in the pool; one that has ended stands there until another does. */
  readonly #members: (Held | null)[];
  readonly #replacing = new Set<number>();
  readonly #stop = new AbortController();
  readonly #waiting: PromiseWithResolvers<void>[] = [];
  /** Whose turn it is. */
  #next = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#members = Array.from({ length: options.size }, () => null);
  }

  get spec(): ProvisionSpec {
    return this.#options.spec;
  }

  get key(): string {
    return this.#options.key;
  }

  get members(): Held[] {
    return this.#members.filter((each) => each !== null);
  }

  /** All of them, or none. @throws what kept the first from starting that could not */
  async fill(): Promise<void> {
    const started = await Promise.allSettled(
      this.#members.map(async (_, at) => {
        const held = await this.#options.start(this.#nameOf(at));
        this.#members[at] = held;
        if (!this.#stop.signal.aborted) return this.changed(held);
        await held.stop();
        throw this.#noneLive("it was stopped");
      }),
    );
    const failed = started.find(({ status }) => status === "rejected");
    if (failed === undefined) return;
    await this.stop();
    throw (failed as PromiseRejectedResult).reason;
  }

  /** The next that is idle, which its taker releases. @throws {HostError} `none-live`, `busy` */
  async take(): Promise<Held> {
    for (let attempt = 0; attempt < ATTEMPTS;) {
      const held = this.#idle();
      if (held === undefined) {
        await this.#turn();
        continue;
      }
      attempt++;
      // Nobody else's meanwhile.
      held.take();
      if (await held.answers()) return held;
      await held.end("it did not answer");
    }
    throw this.#noneLive(`${ATTEMPTS} of its workers did not answer`);
  }

  /** One of its workers is idle, or has ended. */
  changed(held: Held): void {
    const at = this.#members.indexOf(held);
    if (at === -1) return;
    if (held.state === "ended" && !this.#stop.signal.aborted && !this.#replacing.has(at)) {
      this.#replacing.add(at);
      void this.#replace(at).finally(() => this.#replacing.delete(at));
    }
    if (held.state === "idle") this.#waiting.shift()?.resolve();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    for (const each of this.#waiting.splice(0)) each.reject(this.#noneLive("it was stopped"));
    await Promise.all(this.members.map((held) => held.stop()));
  }

  #nameOf(at: number): string {
    return `${this.#options.name}/${at + 1}`;
  }

  #idle(): Held | undefined {
    for (let step = 0; step < this.#members.length; step++) {
      const at = (this.#next + step) % this.#members.length;
      const held = this.#members[at];
      if (held?.state !== "idle") continue;
      this.#next = at + 1;
      return held;
    }
    return undefined;
  }

  async #turn(): Promise<void> {
    if (this.#stop.signal.aborted) throw this.#noneLive("it was stopped");
    if (this.#waiting.length >= MAX_WAITING) {
      throw new HostError(
        "busy",
        `${MAX_WAITING} runs wait for the pool "${this.#options.name}" already`,
        "spawn a larger pool",
      );
    }
    const turn = Promise.withResolvers<void>();
    this.#waiting.push(turn);
    await turn.promise;
  }

  async #replace(at: number): Promise<void> {
    const { signal } = this.#stop;
    for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LAST_PAUSE_MS)) {
      try {
        const held = await this.#options.start(this.#nameOf(at));
        this.#members[at] = held;
        if (signal.aborted) await held.stop();
        else if (held.state === "ended") continue;
        else this.#waiting.shift()?.resolve();
        return;
      } catch (thrown) {
        // Whoever waits would wait for a worker that nobody can make.
        if (this.members.every(({ state }) => state === "ended")) {
          const why = `none of its workers could be started again (${messageOf(thrown)})`;
          for (const each of this.#waiting.splice(0)) each.reject(this.#noneLive(why));
        }
        await this.#clock.sleep(pause, signal).catch(() => {});
      }
    }
  }

  #noneLive(why: string): HostError {
    return new HostError(
      "none-live",
      `the pool "${this.#options.name}" has no worker for it: ${why}`,
      "`bureau worker list` shows its workers; it is not run anywhere else",
    );
  }
}
