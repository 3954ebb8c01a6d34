// SPDX-License-Identifier: Apache-2.0

/** How a benchmark says a figure: one JSON line on stdout, which `main.ts` puts beside its target. */
export interface Figure {
  /** Key of `targets.json`, or a free one for a figure without a target. */
  readonly id: string;
  readonly value: number;
  readonly unit: string;
  /** The same measured on the named alternative in the same run. */
  readonly alternative?: { readonly name: string; readonly value: number };
  readonly note?: string;
}

export function report(figure: Figure): void {
  console.log(JSON.stringify({ figure }));
}

/** Says that a figure could not be had, and why: never silently absent. */
export function skip(id: string, why: string): void {
  console.log(JSON.stringify({ skipped: { id, why } }));
}

/** `p` in 0..1 of a sample, by nearest rank. */
export function percentile(sample: readonly number[], p: number): number {
  const sorted = sample.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))]!;
}

/** Private dirty memory and proportional share of a process, in MB, from `smaps_rollup`. */
export async function memoryOf(pid: number): Promise<{ privateMb: number; pssMb: number }> {
  const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`);
  const kb = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1]);
  return { privateMb: kb("Private_Dirty") / 1024, pssMb: kb("Pss") / 1024 };
}
