// SPDX-License-Identifier: Apache-2.0

/**
 * The words of a line as far as it is written, the last one maybe empty: quotes and backslashes as a shell reads
 * them, and nothing expanded. bash tells a completion words that it broke at every `:` and `=`.
 */
export function splitLine(line: string): string[] {
  const words: string[] = [];
  let word = "";
  let isOpen = false;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const unit = line[at]!;
    if (quote === "'" && unit !== "'") word += unit;
    else if (unit === "\\" && quote !== "'") word += line[++at] ?? "";
    else if (unit === quote) quote = "";
    else if (quote !== "") word += unit;
    else if (unit === "'" || unit === '"') {
      quote = unit;
      isOpen = true;
    } else if (/\s/.test(unit)) {
      if (isOpen || word !== "") words.push(word);
      word = "";
      isOpen = false;
    } else word += unit;
  }
  return [...words, word];
}
