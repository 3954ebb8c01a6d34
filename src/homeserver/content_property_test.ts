// SPDX-License-Identifier: Apache-2.0

/** How contents are stored: canonical JSON in, the same value out, in one form. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeContent } from "./append.ts";

const text = fc.string({ unit: "binary" }).filter((value) => value.isWellFormed());
const whole = fc.maxSafeInteger();
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    text,
    whole,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const content = fc.dictionary(text, value, { noNullPrototype: true });

const shuffled = (from: unknown): unknown => {
  if (Array.isArray(from)) return from.map(shuffled);
  if (typeof from !== "object" || from === null) return from;
  return Object.fromEntries(
    Object.entries(from).reverse().map(([key, item]) => [key, shuffled(item)]),
  );
};

/** Code points of a text, one number each. */
const points = (key: string) => [...key].map((character) => character.codePointAt(0)!);

function isBefore(a: string, b: string): boolean {
  const [x, y] = [points(a), points(b)];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i]! < y[i]!;
  return x.length < y.length;
}

/** Keys in the order of the text itself, which a JSON parser loses for keys like "1". */
function topKeys(json: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"(:?)|[[\]{}]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token.endsWith(":")) keys.push(JSON.parse(token.slice(0, -1)));
  }
  return keys;
}

Deno.test("encodeContent() round-trips, is one text for one value, and is its own fixed point", () => {
  fc.assert(fc.property(content, (given) => {
    const json = encodeContent(given);
    // Strict equality would tell -0 from 0; in JSON they are one.
    assert.equal(
      JSON.stringify(shuffled(shuffled(JSON.parse(json)))),
      JSON.stringify(JSON.parse(json)),
    );
    assert.equal(encodeContent(JSON.parse(json)), json);
    assert.equal(encodeContent(shuffled(given) as Record<string, unknown>), json);
    const keys = topKeys(json);
    assert.deepEqual(new Set(keys), new Set(Object.keys(given)));
    for (let i = 1; i < keys.length; i++) assert.ok(isBefore(keys[i - 1]!, keys[i]!));
  }));
});

Deno.test("encodeContent() takes whole numbers within ±(2^53 − 1) and no others, at any depth", () => {
  const number = fc.oneof(whole, fc.double(), fc.constantFrom(2 ** 53, -(2 ** 53), 1e300, -0, NaN));
  fc.assert(fc.property(number, fc.nat(20), (n, depth) => {
    let nested: unknown = n;
    for (let i = 0; i < depth; i++) nested = i % 2 === 0 ? [nested] : { in: nested };
    if (Number.isSafeInteger(n)) {
      assert.ok(encodeContent({ nested }).includes(String(n === 0 ? 0 : n)));
    } else assert.throws(() => encodeContent({ nested }), { code: "M_BAD_JSON" });
  }));
});
