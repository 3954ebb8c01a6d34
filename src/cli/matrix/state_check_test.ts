// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { answer, fieldOf, type Question } from "./state_check.ts";

Deno.test("a field is found by its path, whatever dots its keys hold", () => {
  const content = { a: { b: { c: 1 }, "b.c": 2 }, "a.b": { d: 3 }, list: ["x"] };
  assert.equal(fieldOf(content, "a.b.c"), 2);
  assert.equal(fieldOf(content, "a.b.d"), 3);
  assert.equal(fieldOf(content, "list.0"), "x");
  for (const none of ["x", "a.x", "a.b.c.d", "constructor", "a.", "__proto__"]) {
    assert.equal(fieldOf(content, none), undefined, none);
  }
});

Deno.test("values are compared as text, and what is not there holds nothing", () => {
  const ask = (value: unknown, word: Question["word"], ...values: string[]) =>
    answer(value, { word, values });
  assert.ok(ask("running", "equals", "running"));
  assert.ok(ask(3, "equals", "3"));
  assert.ok(ask(true, "in", "false", "true"));
  assert.ok(ask({ b: 1, a: [] }, "equals", '{"a":[],"b":1}'));
  assert.ok(ask(null, "equals", "null"));
  assert.ok(!ask("running", "not-equals", "running"));
  assert.ok(ask("running", "not-in", "stopped", "failed"));
  assert.ok(!ask("running", "in", "stopped", "Running"));
  for (const word of ["equals", "not-equals", "in", "not-in"] as const) {
    assert.ok(!ask(undefined, word, "undefined"), word);
  }
});
