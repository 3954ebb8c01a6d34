// SPDX-License-Identifier: Apache-2.0

/** One word of a POSIX shell. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
