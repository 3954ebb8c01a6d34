// SPDX-License-Identifier: Apache-2.0

/** Which of `known` somebody may have meant; undefined where nothing is like it. Half of a short word is another word. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let most = name.length < 5 ? 1 : 2;
  for (const one of known) {
    const steps = distance(one, name);
    if (steps > most || (steps === most && best !== undefined)) continue;
    best = one;
    most = steps;
  }
  return best;
}

/** Levenshtein's, of names as short as these; 3 stands for more. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, change));
    }
    row = next;
  }
  return row[b.length]!;
}
