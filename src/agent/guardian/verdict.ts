// SPDX-License-Identifier: Apache-2.0

/** What a guardian says in the end: one JSON object somewhere in its last message. */

export interface Verdict {
  readonly approve: boolean;
  readonly summary: string;
  readonly findings: readonly string[];
}

export const MAX_FINDINGS = 50;
const MAX_TEXT = 4_000;
/** Nothing further back is looked at. */
const MAX_CHARS = 1_000_000;
/** Characters looked at in all: braces without end cost no more. */
const MAX_WORK = 5_000_000;

/**
 * The last balanced object of the text that is a verdict, whatever prose or fences stand around it.
 * @returns null: there is none, which approves nothing
 */
export function parseVerdict(text: string): Verdict | null {
  const tail = text.slice(-MAX_CHARS);
  let found: Verdict | null = null;
  let work = 0;
  for (let at = 0; at < tail.length;) {
    const start = tail.indexOf("{", at);
    if (start === -1) break;
    const end = endOf(tail, start);
    work += (end === -1 ? tail.length : end) - start;
    if (work > MAX_WORK) return null;
    if (end === -1) {
      at = start + 1;
      continue;
    }
    const verdict = readVerdict(tail.slice(start, end));
    if (verdict === null) at = start + 1;
    else {
      found = verdict;
      // What stands inside one is its own: a finding that quotes a verdict is none.
      at = end;
    }
  }
  return found;
}

/** Behind the brace that closes the one at `start`; -1: none does. */
function endOf(text: string, start: number): number {
  let depth = 0;
  let isText = false;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (isText) {
      if (char === "\\") at++;
      else if (char === '"') isText = false;
    } else if (char === '"') isText = true;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return at + 1;
  }
  return -1;
}

function readVerdict(text: string): Verdict | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const { approve, summary, findings } = value as Record<string, unknown>;
  if (typeof approve !== "boolean") return null;
  if (summary !== undefined && summary !== null && typeof summary !== "string") return null;
  if (findings !== undefined && findings !== null && !Array.isArray(findings)) return null;
  const all = (findings ?? []) as readonly unknown[];
  const words = (one: unknown) =>
    (typeof one === "string" ? one : JSON.stringify(one) ?? "").slice(0, MAX_TEXT);
  return {
    approve,
    summary: (summary ?? "").slice(0, MAX_TEXT),
    findings: all.slice(0, MAX_FINDINGS).map(words),
  };
}
