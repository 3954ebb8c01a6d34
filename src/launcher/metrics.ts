// SPDX-License-Identifier: Apache-2.0

/** What the launcher counts: cells by phase, starts and how long they took, ends by cause. */
import { BureauError } from "../lib/errors.ts";
import { loadMetrics } from "../lib/metrics/load.ts";
import { Histogram, LabelledCounter, type Measured, ownMetrics } from "../lib/metrics/mod.ts";
import { type ExitStatus, Phase, type Principal as Status } from "./api.ts";

export class LauncherMetrics {
  readonly #starts = new LabelledCounter();
  readonly #startSeconds = new Histogram();
  readonly #exits = new LabelledCounter();
  /** Restarts of proxies that are gone with their cells. */
  #restartsBefore = 0;

  /** Counts one request for a cell; its time only where a cell was made by it. */
  async start(make: () => Promise<Status>): Promise<Status> {
    const began = performance.now();
    const asked = Date.now();
    try {
      const status = await make();
      const isNew = status.started_at >= asked;
      if (isNew) this.#startSeconds.observe((performance.now() - began) / 1000);
      this.#starts.add({ result: isNew ? "started" : "kept" });
      return status;
    } catch (thrown) {
      this.#starts.add({ result: thrown instanceof BureauError ? thrown.code : "internal" });
      throw thrown;
    }
  }

  exited({ code, signal, reason }: ExitStatus): void {
    const cause = reason?.includes("memory")
      ? "memory-limit"
      : reason !== undefined
      ? "limit"
      : signal !== null
      ? "signal"
      : code === 0
      ? "success"
      : "error";
    this.#exits.add({ cause });
  }

  removed({ proxy }: Status): void {
    this.#restartsBefore += proxy.restarts;
  }

  async answer(request: Request, all: readonly Status[]): Promise<Response> {
    return ownMetrics(request, await loadMetrics(), this.#measured(all));
  }

  #measured(all: readonly Status[]): Measured {
    const restarts = all.reduce((sum, { proxy }) => sum + proxy.restarts, this.#restartsBefore);
    return {
      bureau_launcher_cells: Phase.options.map((phase) => [
        { phase },
        all.filter((one) => one.phase === phase).length,
      ]),
      bureau_launcher_starts_total: this.#starts.samples,
      bureau_launcher_start_seconds: this.#startSeconds.distribution,
      bureau_launcher_exits_total: this.#exits.samples,
      bureau_launcher_proxy_restarts_total: restarts,
    };
  }
}
