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

/**
 * A process's own memory and its proportional share, in MB, from `smaps`. Pages of a file that was only just
 * written (Deno itself, where it was installed a moment ago) are dirty until the kernel has written them: they
 * are the page cache's, whoever maps them.
 */
export async function memoryOf(pid: number): Promise<{ privateMb: number; pssMb: number }> {
  const text = await Deno.readTextFile(`/proc/${pid}/smaps`);
  const [dirty, own, pss] = ["Private_Dirty", "Anonymous", "Pss"].map((name) =>
    [...text.matchAll(new RegExp(`^${name}:\\s+(\\d+) kB`, "gm"))].map((match) => Number(match[1]))
  );
  const privateKb = dirty!.reduce((sum, kb, at) => sum + Math.min(kb, own![at]!), 0);
  return { privateMb: privateKb / 1024, pssMb: pss!.reduce((sum, kb) => sum + kb, 0) / 1024 };
}
