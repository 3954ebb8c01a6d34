// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { CanonicalError, canonicalJson, compareCodePoints, sha256Hex } from "./mod.ts";

Deno.test("canonicalJson() writes what Matrix's specification says when given its examples", () => {
  const examples: [string, string][] = [
    ["{}", "{}"],
    ['{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'],
    ['{"b":"2","a":"1"}', '{"a":"1","b":"2"}'],
    [
      '{"auth":{"success":true,"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"medium":"email","address":"john.doe@example.org"},{"medium":"msisdn","address":"123456789"}]}}}',
      '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
    ],
    ['{"a":"日本語"}', '{"a":"日本語"}'],
    ['{"本":2,"日":1}', '{"日":1,"本":2}'],
    ['{"a":"\\u65E5"}', '{"a":"日"}'],
    ['{"a":null}', '{"a":null}'],
    ['{"a":-0,"b":1e10}', '{"a":0,"b":10000000000}'],
  ];
  for (const [json, expected] of examples) {
    assert.equal(canonicalJson(JSON.parse(json)), expected);
  }
});

Deno.test("canonicalJson() sorts by code point when UTF-16 would say otherwise", () => {
  assert.equal(canonicalJson({ "😀": 1, "\uffff": 2 }), '{"\uffff":2,"😀":1}');
});

Deno.test("canonicalJson() refuses when a value could be read two ways", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const bad: unknown[] = [
    0.5,
    NaN,
    Infinity,
    2 ** 53,
    -(2 ** 53),
    1n,
    undefined,
    { a: undefined },
    [undefined],
    new Array(1),
    new Date(0),
    new Map(),
    "\ud800",
    { "\udc00": 1 },
    () => 1,
    Symbol("x"),
    cycle,
  ];
  for (const value of bad) assert.throws(() => canonicalJson(value), CanonicalError);
});

Deno.test("canonicalJson() does not quote the value when it refuses", () => {
  assert.throws(
    () => canonicalJson({ token: { deep: "hunter2\ud800" } }),
    (error) =>
      error instanceof CanonicalError && !error.message.includes("hunter2") &&
      error.message.includes("$.token.deep"),
  );
});

const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.string({ unit: "grapheme" }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: "grapheme" }), tie("value"), { maxKeys: 5 }),
  ),
})).value;

Deno.test("canonicalJson() means the same value when it is read again", () => {
  fc.assert(fc.property(json, (value) => {
    const text = canonicalJson(value);
    assert.equal(canonicalJson(JSON.parse(text)), text);
    assert.equal(JSON.stringify(JSON.parse(text)).length, text.length);
  }));
});

Deno.test("canonicalJson() is one text when only the order of keys differs", () => {
  fc.assert(fc.property(fc.dictionary(fc.string({ unit: "grapheme" }), json), (record) => {
    const turned = Object.fromEntries(Object.entries(record).reverse());
    assert.equal(canonicalJson(turned), canonicalJson(record));
  }));
});

Deno.test("compareCodePoints() orders as code points do when strings are random", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (a, b) => {
    const x = Array.from(a, (c) => c.codePointAt(0)!);
    const y = Array.from(b, (c) => c.codePointAt(0)!);
    let expected = x.length - y.length;
    for (let i = 0; i < Math.min(x.length, y.length); i++) {
      if (x[i] !== y[i]) {
        expected = x[i]! - y[i]!;
        break;
      }
    }
    assert.equal(Math.sign(compareCodePoints(a, b)), Math.sign(expected));
  }));
});

Deno.test("sha256Hex() gives the published digest when given abc", async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(await sha256Hex("abc"), abc);
  assert.equal(await sha256Hex(new Uint8Array([97, 98, 99])), abc);
});
