// SPDX-License-Identifier: Apache-2.0

/** Small files of a machine's /proc and /sys as text, whoever read them: what the parsers work on. */
export type Facts = ReadonlyMap<string, string>;

/** Reads what `tasks/facts.sh` prints: `== path`, then the file's lines with a blank before each. */
export function parseFacts(text: string): Facts {
  const facts = new Map<string, string>();
  let path: string | null = null;
  let lines: string[] = [];
  const end = () => {
    if (path !== null) facts.set(path, lines.join("\n"));
    lines = [];
  };
  for (const line of text.split("\n")) {
    if (line.startsWith("== ")) {
      end();
      path = line.slice(3);
    } else if (line.startsWith(" ")) lines.push(line.slice(1));
  }
  end();
  return facts;
}

/** @returns null when the file is not there or empty */
export function fact(facts: Facts, path: string): string | null {
  const text = facts.get(path)?.trim();
  return text === undefined || text === "" ? null : text;
}

/** @returns null when it is no whole number */
export function numberFact(facts: Facts, path: string): number | null {
  const text = fact(facts, path);
  return text !== null && /^-?\d+$/.test(text) ? Number(text) : null;
}
