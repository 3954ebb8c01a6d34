// SPDX-License-Identifier: Apache-2.0

/**
 * What the caller may do, as whoever knows it says: the daemon for a person, the proxy for an agent. Asked
 * for again and again, and before each call: a right that was taken away is gone with the next call.
 */
import { checkSelf } from "../lib/authorization/self.ts";
import type { Clock } from "../lib/clock.ts";
import { McpError } from "./errors.ts";
import type { ProxyPolicy } from "../lib/schema/events.ts";

export type ReadPolicy = (signal: AbortSignal) => Promise<ProxyPolicy>;

export interface RightsOptions {
  readonly read: ReadPolicy;
  readonly clock: Clock;
  /** How often it looks by itself. */
  readonly everyMs: number;
  /** The end of it all. */
  readonly signal: AbortSignal;
  /** Taken away on top of all: patterns of actions outside of which nothing is allowed. */
  readonly only?: (action: string) => boolean;
}

/** A daemon that says nothing for so long says that nothing is allowed. */
const READ_MS = 10_000;

type Listener = () => void;

export class Rights {
  readonly #options: RightsOptions;
  readonly #listeners = new Set<Listener>();
  #policy: ProxyPolicy | null = null;
  #failure: unknown = null;
  /** One question at a time; whoever asks meanwhile waits for an answer that was asked for after that. */
  #asking: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  constructor(options: RightsOptions) {
    this.#options = options;
  }

  /** Why nothing is known, and so nothing allowed; null: something is. */
  get failure(): unknown {
    return this.#failure;
  }

  may(action: string): boolean {
    if (this.#policy === null) return false;
    if (this.#options.only !== undefined && !this.#options.only(action)) return false;
    return checkSelf(this.#policy, action, this.#options.clock.now()).allowed;
  }

  /** After every answer: a right may also have run out. @returns a way to stop listening */
  onAnswer(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Asks now. Never throws: what can't be read allows nothing. */
  refresh(): Promise<void> {
    if (this.#asking === null) {
      this.#asking = this.#ask().finally(() => this.#asking = null);
      return this.#asking;
    }
    this.#next ??= this.#asking.then(() => {
      this.#next = null;
      return this.refresh();
    });
    return this.#next;
  }

  async #ask(): Promise<void> {
    const { clock, read, signal } = this.#options;
    const over = new AbortController();
    try {
      const late = clock.sleep(READ_MS, over.signal).then(() => {
        throw new McpError("timeout", "Cannot read your rights: no answer in ten seconds", {
          status: 504,
        });
      });
      // Either may lose, and nobody waits for it then.
      late.catch(() => {});
      const asked = read(AbortSignal.any([signal, over.signal]));
      asked.catch(() => {});
      this.#policy = await Promise.race([asked, late]);
      this.#failure = null;
    } catch (thrown) {
      this.#policy = null;
      this.#failure = thrown;
    } finally {
      over.abort();
    }
    for (const listener of [...this.#listeners]) listener();
  }

  /** Looks until the end. */
  async follow(): Promise<void> {
    const { clock, everyMs, signal } = this.#options;
    while (!signal.aborted) {
      await this.refresh();
      await clock.sleep(everyMs, signal).catch(() => {});
    }
  }
}
