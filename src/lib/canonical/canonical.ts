// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../errors.ts";

/** A value that has no canonical form. */
export class CanonicalError extends BureauError {
  override readonly name = "CanonicalError";
  constructor(path: string, why: string) {
    super("not-canonical", `Cannot write "${path}" as canonical JSON: ${why}`, { status: 400 });
  }
}

/** Deeper values are refused, cycles among them, before they exhaust the stack. */
const MAX_DEPTH = 100;

/**
 * Matrix canonical JSON (specification, appendix "Canonical JSON"): no blanks, keys sorted by Unicode
 * code point, integers only within ±(2^53 − 1), shortest escapes. What another reader might take for a
 * different value (fractions, lone surrogates, `undefined`, dates, sparse arrays) is refused, because a
 * signature over it would not mean one thing.
 * @throws {CanonicalError} naming the place, never the value
 */
export function canonicalJson(value: unknown): string {
  return write(value, "$", 0);
}

function write(value: unknown, path: string, depth: number): string {
  if (depth > MAX_DEPTH) throw new CanonicalError(cut(path), `it is deeper than ${MAX_DEPTH}`);
  switch (typeof value) {
    case "boolean":
      return value ? "true" : "false";
    case "number":
      if (!Number.isSafeInteger(value)) {
        throw new CanonicalError(cut(path), "a number must be an integer within ±(2^53 − 1)");
      }
      // -0 is an integer to JavaScript; JSON readers differ on its sign.
      return String(value === 0 ? 0 : value);
    case "string":
      return text(value, path);
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? array(value, path, depth) : object(value, path, depth);
    default:
      throw new CanonicalError(cut(path), `a value of type ${typeof value} is not JSON`);
  }
}

function array(value: readonly unknown[], path: string, depth: number): string {
  const items: string[] = [];
  for (let i = 0; i < value.length; i++) items.push(write(value[i], `${path}[${i}]`, depth + 1));
  return `[${items.join(",")}]`;
}

function object(value: object, path: string, depth: number): string {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new CanonicalError(cut(path), "it is not a plain object");
  }
  const members = Object.entries(value)
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(([key, item]) => `${text(key, path)}:${write(item, `${path}.${key}`, depth + 1)}`);
  return `{${members.join(",")}}`;
}

function text(value: string, path: string): string {
  // JSON.stringify would write a lone surrogate as an escape that other languages can't read back.
  if (!value.isWellFormed()) throw new CanonicalError(cut(path), "a text holds a lone surrogate");
  return JSON.stringify(value);
}

function cut(path: string): string {
  const safe = path.toWellFormed();
  return JSON.stringify(safe.length > 200 ? safe.slice(0, 197) + "…" : safe).slice(1, -1);
}

/** JavaScript sorts by UTF-16 unit, which puts U+10000 and above before U+E000. */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates (D800–DFFF) stand for code points above every other unit.
    return rank(x) - rank(y);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
