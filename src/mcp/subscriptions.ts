// SPDX-License-Identifier: Apache-2.0

/** Who wants to hear when a resource changes: by its own stream where it has one, else by looking. */
import type { Clock } from "../lib/clock.ts";
import type { Found } from "./resources.ts";

const MAX = 64;
const LOOK_MS = 2_000;
const RETRY_MS = 5_000;

export interface SubscriptionOptions {
  readonly clock: Clock;
  /** @throws when it isn't there, or not for this client any more */
  readonly find: (uri: string) => Promise<Found>;
  readonly read: (uri: string, signal: AbortSignal) => Promise<string>;
  readonly changed: (uri: string) => void;
  readonly failed: (uri: string, thrown: unknown) => void;
}

export class Subscriptions {
  readonly #options: SubscriptionOptions;
  readonly #running = new Map<string, AbortController>();

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** @returns false: there are too many */
  add(uri: string): boolean {
    if (this.#running.has(uri)) return true;
    if (this.#running.size >= MAX) return false;
    const stop = new AbortController();
    this.#running.set(uri, stop);
    this.#follow(uri, stop.signal).catch((thrown) => {
      if (stop.signal.aborted) return;
      this.#running.delete(uri);
      this.#options.failed(uri, thrown);
    });
    return true;
  }

  remove(uri: string): void {
    this.#running.get(uri)?.abort();
    this.#running.delete(uri);
  }

  close(): void {
    for (const uri of [...this.#running.keys()]) this.remove(uri);
  }

  async #follow(uri: string, signal: AbortSignal): Promise<void> {
    const { clock, find, changed } = this.#options;
    while (!signal.aborted) {
      // Asked again each time: a right that ended ends this too.
      const { resource, variables } = await find(uri);
      if (resource.follow === undefined) return await this.#look(uri, signal);
      try {
        await resource.follow(() => changed(uri), signal, variables);
      } catch {
        // The stream broke off: what happened meanwhile is a change too.
      }
      if (signal.aborted) return;
      await clock.sleep(RETRY_MS, signal);
      changed(uri);
    }
  }

  async #look(uri: string, signal: AbortSignal): Promise<void> {
    const { clock, find, read, changed } = this.#options;
    // Of what can't be read now, its coming back is a change.
    const now = async () => {
      await find(uri);
      return await read(uri, signal).catch(() => null);
    };
    let before = await now();
    while (!signal.aborted) {
      await clock.sleep(LOOK_MS, signal);
      const text = await now();
      if (text !== before) changed(uri);
      before = text;
    }
  }
}
