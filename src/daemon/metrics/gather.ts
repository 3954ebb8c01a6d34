// SPDX-License-Identifier: Apache-2.0

/**
 * One answer for the whole machine. Costs one request to each process, all at once, and at most one round in a second
 * whoever asks how often; a process that hangs costs the deadline and is told as down.
 */
import { loadMetrics } from "../../lib/metrics/load.ts";
import { type Measured, MetricText, processMetrics, readMetrics } from "../../lib/metrics/mod.ts";
import { NotThere, type Source } from "./sources.ts";

/** Below the ten seconds that Prometheus waits. */
const DEADLINE_MS = 2_000;
const FRESH_MS = 1_000;
/** Of one process. */
const MAX_LINES = 4_000;

export interface GatherOptions {
  readonly sources: () => readonly Source[];
  /** What the daemon itself tells. */
  readonly own: () => { readonly measured: Measured; readonly principals: MetricText };
  readonly deadlineMs?: number;
  /** Milliseconds that only go forward. */
  readonly tick?: () => number;
}

export class MetricsGatherer {
  readonly #options: GatherOptions;
  readonly #tick: () => number;
  #last: { readonly at: number; readonly text: Promise<MetricText> } | null = null;

  constructor(options: GatherOptions) {
    this.#options = options;
    this.#tick = options.tick ?? (() => performance.now());
  }

  gather(): Promise<MetricText> {
    const now = this.#tick();
    if (this.#last === null || now - this.#last.at >= FRESH_MS) {
      this.#last = { at: now, text: this.#round() };
    }
    return this.#last.text;
  }

  async #round(): Promise<MetricText> {
    const { sources, own, deadlineMs = DEADLINE_MS } = this.#options;
    const began = this.#tick();
    const { measured, principals: text } = own();
    const itself = { process: "daemon" };
    text.add({ bureau_up: 1, ...processMetrics(), ...await loadMetrics(), ...measured }, itself);
    await Promise.all(
      sources().map(async (source) => {
        const { process, principal, prefix } = source;
        const labels = { process, ...(principal === undefined ? {} : { principal }) };
        try {
          // A signal of its own for each: one that is shared would collect listeners.
          const told = await source.ask(AbortSignal.timeout(deadlineMs));
          text.add({ bureau_up: 1 }, labels);
          for (const sample of readMetrics(told, [prefix, "bureau_process_"], MAX_LINES)) {
            text.addRead(sample, labels);
          }
        } catch (thrown) {
          if (source.comesAndGoes && thrown instanceof NotThere) return;
          text.add({ bureau_up: 0 }, labels);
        }
      }),
    );
    return text.add({ bureau_scrape_seconds: (this.#tick() - began) / 1000 }, itself);
  }
}
