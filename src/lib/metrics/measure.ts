// SPDX-License-Identifier: Apache-2.0

/** Counting, in memory: a restart counts anew, which scrapers know of. */
import type { MetricName } from "./catalogue.ts";

export type Labels = Readonly<Record<string, string | number>>;
export type Sample = readonly [labels: Labels, value: number];

export interface Distribution {
  readonly sum: number;
  /** Upper bounds, and how many were at or below each. */
  readonly buckets: readonly (readonly [bound: number, count: number])[];
  readonly count: number;
}

/** What one process tells: a number where there are no labels. */
export type Measured = { readonly [K in MetricName]?: number | readonly Sample[] | Distribution };

/** Sets of labels that one counter keeps; what comes after them is counted as `other`. */
const MAX_SERIES = 128;

export class LabelledCounter {
  readonly #series = new Map<string, { readonly labels: Labels; value: number }>();

  add(labels: Labels, count = 1): void {
    const key = Object.values(labels).join("\0");
    const known = this.#series.get(key);
    if (known !== undefined) known.value += count;
    else if (this.#series.size < MAX_SERIES) this.#series.set(key, { labels, value: count });
    else this.#addToOther(labels, count);
  }

  #addToOther(labels: Labels, count: number): void {
    const other = Object.fromEntries(Object.keys(labels).map((name) => [name, "other"]));
    const known = this.#series.get("other");
    if (known === undefined) this.#series.set("other", { labels: other, value: count });
    else known.value += count;
  }

  get samples(): Sample[] {
    return [...this.#series.values()].map(({ labels, value }) => [labels, value]);
  }
}

/** Of a few milliseconds to a minute. */
const SECONDS = [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60] as const;

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[] = SECONDS) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#sum += value;
    this.#count++;
    const at = this.#bounds.findIndex((bound) => value <= bound);
    if (at !== -1) this.#counts[at]!++;
  }

  get distribution(): Distribution {
    let below = 0;
    const buckets = this.#bounds.map((bound, at) => {
      below += this.#counts[at]!;
      return [bound, below] as const;
    });
    return { sum: this.#sum, count: this.#count, buckets };
  }
}

/** `2xx` of 204. */
export function statusClass(status: number): string {
  return `${status >= 100 && status < 600 ? Math.trunc(status / 100) : 0}xx`;
}
