// SPDX-License-Identifier: Apache-2.0

/** A principal's proxy over its deaths: one that dies is made again from the same document (W-39). */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { ServiceCell } from "./cells.ts";

const BACKOFF_FIRST_MS = 50;
const BACKOFF_LAST_MS = 5_000;
const STABLE_MS = 30_000;

export interface KeptProxyOptions {
  readonly principal: string;
  readonly launch: () => Promise<ServiceCell>;
  readonly onChange: (proxy: { ready: boolean; restarts: number }) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export class KeptProxy {
  readonly #options: KeptProxyOptions;
  readonly #stop = new AbortController();
  #cell: ServiceCell | null = null;
  #loop: Promise<void> = Promise.resolve();
  #restarts = 0;
  #renewals = 0;

  constructor(options: KeptProxyOptions) {
    this.#options = options;
  }

  /** @throws {LauncherError} when the first one doesn't start; then none is kept */
  async start(): Promise<void> {
    this.#cell = await this.#options.launch();
    this.#options.onChange({ ready: true, restarts: this.#restarts });
    this.#loop = this.#keep();
  }

  /** As `start`, but goes on trying when the first one doesn't start. */
  async startOrRetry(): Promise<void> {
    try {
      await this.start();
    } catch (thrown) {
      this.#failed(thrown);
      this.#loop = this.#keep();
    }
  }

  async #keep(): Promise<void> {
    const { clock, log, launch, onChange, principal } = this.#options;
    const { signal } = this.#stop;
    let backoff = BACKOFF_FIRST_MS;
    while (!signal.aborted) {
      const since = clock.now();
      if (this.#cell !== null) await this.#cell.exited;
      if (signal.aborted) return;
      if (clock.now() - since > STABLE_MS) backoff = BACKOFF_FIRST_MS;
      this.#restarts++;
      onChange({ ready: false, restarts: this.#restarts });
      log.warn("proxy ended, restarting", { principal, restarts: this.#restarts });
      await clock.sleep(backoff, signal).catch(() => {});
      if (signal.aborted) return;
      backoff = Math.min(backoff * 2, BACKOFF_LAST_MS);
      try {
        this.#cell = null;
        const renewals = this.#renewals;
        this.#cell = await launch();
        // Made from a document that is not the last one any more: the next round makes another.
        if (renewals !== this.#renewals) this.#cell.kill("SIGKILL");
        if (signal.aborted) return this.#cell.kill("SIGKILL");
        onChange({ ready: true, restarts: this.#restarts });
      } catch (thrown) {
        this.#failed(thrown);
      }
    }
  }

  /** The one that runs takes another document; one that doesn't is made again, from it. */
  async renew(document: unknown): Promise<void> {
    this.#renewals++;
    const cell = this.#cell;
    if (cell === null) return;
    try {
      await cell.tell(document);
    } catch (thrown) {
      this.#failed(thrown);
      cell.kill("SIGKILL");
    }
  }

  #failed(thrown: unknown): void {
    this.#options.log.error("proxy could not be started", {
      principal: this.#options.principal,
      why: messageOf(thrown),
    });
  }

  /** Makes no other, ends the present one. Resolves when it is gone. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#stop.abort();
    this.#cell?.kill(signal);
    await this.#loop;
    await this.#cell?.exited;
  }
}
