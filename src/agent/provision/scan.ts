// SPDX-License-Identifier: Apache-2.0

/**
 * What JSON.parse does not tell: that a key stood there twice, that a number was written as a fraction, that the
 * document ended too early.
 */

/** As many as the contract's first reader takes. */
const MAX_DEPTH = 127;

export interface Scan {
  /** Nothing is wrong up to the end, and the end is too early. */
  readonly truncated: boolean;
  readonly tooDeep: boolean;
  /** Paths of keys that stood in their object before, e.g. `identity.child_id`. */
  readonly duplicates: readonly string[];
  /** Every number, with its path: a list's members all have its path. */
  readonly numbers: readonly (readonly [path: string, text: string])[];
}

interface Level {
  readonly object: boolean;
  readonly keys: Set<string>;
  readonly path: string;
  /** Of an object: what comes next is a key. */
  expectsKey: boolean;
  key: string;
}

const TOKEN = /"(?:[^"\\]|\\[^])*("?)|[{}[\],:]|[^\s"{}[\],:]+/g;

/** @param text JSON, perhaps */
export function scanJson(text: string): Scan {
  const duplicates: string[] = [];
  const numbers: [string, string][] = [];
  const levels: Level[] = [];
  let tooDeep = false;
  let open = false;
  for (const match of text.matchAll(TOKEN)) {
    const token = match[0];
    const level = levels.at(-1);
    if (token === "{" || token === "[") {
      const path = level === undefined ? "" : placeIn(level);
      levels.push({ object: token === "{", keys: new Set(), path, expectsKey: true, key: "" });
      if (levels.length > MAX_DEPTH) {
        tooDeep = true;
        break;
      }
    } else if (token === "}" || token === "]") levels.pop();
    else if (token === ",") {
      if (level !== undefined) level.expectsKey = true;
    } else if (token === ":") {
      if (level !== undefined) level.expectsKey = false;
    } else if (token.startsWith('"')) {
      open = match[1] === "";
      if (level?.object && level.expectsKey && !open) {
        level.key = keyOf(token);
        if (level.keys.has(level.key)) duplicates.push(placeIn(level));
        level.keys.add(level.key);
      }
    } else if (/^[-\d]/.test(token)) {
      numbers.push([level === undefined ? "" : placeIn(level), token]);
    }
  }
  return { truncated: open || levels.length > 0, tooDeep, duplicates, numbers };
}

const placeIn = ({ object, path, key }: Level) =>
  object ? (path === "" ? key : `${path}.${key}`) : path;

/** Dots of its own are none of a path's. */
function keyOf(token: string): string {
  try {
    return (JSON.parse(token) as string).replaceAll(".", "\0");
  } catch {
    return token;
  }
}
