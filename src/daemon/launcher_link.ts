// SPDX-License-Identifier: Apache-2.0

/** The daemon's line to the launcher: what runs, as it changes, over any number of launcher restarts. */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { type Client, createClient } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import { launcherApi, LauncherEvent, type Principal } from "../launcher/api.ts";

export interface LauncherListener {
  /** What one principal is now; null: the launcher has none of that name. */
  onPrincipal(principal: string, status: Principal | null, revision: number): void;
  /** All that there is; what isn't in the list is gone. */
  onSnapshot(principals: readonly Principal[], revision: number): void;
  onLost(): void;
}

/** A snapshot is taken this often besides, so that a missed event can't last. */
const RESYNC_MS = 30_000;
const RETRY_MS = 250;

export class LauncherLink {
  readonly client: Client<typeof launcherApi>;
  readonly #listener: LauncherListener;
  readonly #clock: Clock;
  readonly #log: Logger;
  #connected = false;

  constructor(socket: string, listener: LauncherListener, clock: Clock, log: Logger) {
    this.client = createClient(launcherApi, { socket });
    this.#listener = listener;
    this.#clock = clock;
    this.#log = log;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let complained = false;
    while (!signal.aborted) {
      const round = new AbortController();
      const limit = AbortSignal.any([signal, round.signal]);
      try {
        await Promise.race([this.#follow(limit), this.#resync(limit)]);
        complained = false;
      } catch (thrown) {
        if (signal.aborted) break;
        if (this.#connected || !complained) {
          this.#log.warn("launcher is away", { why: messageOf(thrown) });
        }
        complained = true;
      } finally {
        round.abort();
        if (this.#connected) {
          this.#connected = false;
          this.#listener.onLost();
        }
      }
      await this.#clock.sleep(RETRY_MS, signal).catch(() => {});
    }
    this.client.close();
  }

  /** Events that come before the first snapshot are in it or follow it. */
  async #follow(signal: AbortSignal): Promise<void> {
    for await (const json of this.client.events("events", { signal })) {
      const event = LauncherEvent.safeParse(json);
      if (!event.success) {
        this.#log.warn("launcher event not understood", {
          event: JSON.stringify(json).slice(0, 200),
        });
        continue;
      }
      const { type, principal, status, revision } = event.data;
      if (type === "removed") this.#listener.onPrincipal(principal, null, revision);
      else if (status !== undefined) this.#listener.onPrincipal(principal, status, revision);
    }
  }

  async #resync(signal: AbortSignal): Promise<void> {
    while (true) {
      const { principals, revision } = await this.client.call("list", { signal });
      if (!this.#connected) {
        this.#connected = true;
        this.#log.info("launcher connected", { principals: principals.length });
      }
      this.#listener.onSnapshot(principals, revision);
      await this.#clock.sleep(RESYNC_MS, signal);
    }
  }
}
