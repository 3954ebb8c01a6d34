// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseRegex, RegexError } from "./mod.ts";

/** Atoms whose meaning is the same here and in the language's own engine. */
const atom = fc.constantFrom(
  "a",
  "b",
  "c",
  ".",
  "[ab]",
  "[^a]",
  "[a-c]",
  "\\d",
  "\\W",
  "\\w",
  "\\?",
  "é",
);
const { expression } = fc.letrec<{ expression: string; part: string; sequence: string }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    atom,
    fc.constantFrom("^", "$", "\\b"),
    fc.tuple(atom, fc.constantFrom("*", "+", "?", "{2}", "{0,2}", "{1,}", "*?")).map(([one, how]) =>
      one + how
    ),
    fc.tuple(tie("expression"), fc.constantFrom("", "*", "+", "?", "{1,2}"))
      .map(([inner, how]) => `(?:${inner})${how}`),
  ),
  sequence: fc.array(tie("part"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join("")),
  expression: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }).map((of) => of.join("|")),
}));

Deno.test("parseRegex() says what the language's own engine says", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c", "1", " ", "?", "é", "_"), { maxLength: 8 })
    .map((characters) => characters.join(""));
  fc.assert(
    fc.property(expression, text, (source, line) => {
      fc.pre(source.length <= 200);
      assert.equal(parseRegex(source).test(line), new RegExp(source, "u").test(line), source);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("parseRegex() takes what holds other engines up", () => {
  const line = "a".repeat(2_000) + "!";
  for (const source of ["^(a+)+$", "^(a|a)*$", "(.*)*x", "(a*)*b", ".*.*.*.*.*.*x"]) {
    const begin = performance.now();
    assert.equal(parseRegex(source).test(line), false);
    // Backtracking would take longer than the world is old.
    assert.ok(performance.now() - begin < 30_000);
  }
});

Deno.test("parseRegex() knows cases, edges and escapes", () => {
  const yes = (source: string, text: string) => assert.ok(parseRegex(source).test(text), source);
  const no = (source: string, text: string) => assert.ok(!parseRegex(source).test(text), source);
  yes("(?i)password( for [^:]+)?:\\s*$", "[sudo] PassWord for ada: ");
  no("password", "PASSWORD");
  yes("\\[y/N\\]", "go on? [y/N]");
  yes("\\u276f 1\\.", "❯ 1. Yes");
  yes("[\\u2500-\\u257f]", "╭");
  yes("[]]", "]");
  yes("[a\\]-]", "-");
  yes("^$", "");
  yes("😀{2}", "😀😀");
  no("\\bend\\b", "bends");
});

for (
  const source of [
    "",
    "(",
    ")",
    "a)",
    "[a",
    "*a",
    "a**",
    "a+*",
    "a{2}{2}",
    "a{101}",
    "a{3,2}",
    "^*",
    "(?=a)",
    "(?<n>a)",
    "(a)\\1",
    "\\p{L}",
    "\\",
    "[b-a]",
    "[\\d-z]",
    "a".repeat(201),
    "((((((((((((((((((((((a))))))))))))))))))))))",
    "((a{100}){100}){100}",
  ]
) {
  Deno.test(`parseRegex() refuses ${JSON.stringify(source.slice(0, 30))}`, () => {
    assert.throws(() => parseRegex(source), (thrown) => thrown instanceof RegexError);
  });
}
