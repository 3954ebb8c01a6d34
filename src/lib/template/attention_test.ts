// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Template } from "../schema/mod.ts";
import { mergeTemplates, validateTemplate } from "./mod.ts";

const base = { description: "d", command: ["/bin/true"] };

Deno.test("attention: a child adds patterns, and says how long quiet is idle", () => {
  const parent = { ...base, attention: { waiting: ["a", "b"], idle_after_seconds: 60 } };
  const merged = (attention: Template["attention"]) =>
    mergeTemplates(parent, attention === undefined ? {} : { attention }).attention;
  assert.deepEqual(merged(undefined), parent.attention);
  assert.deepEqual(merged({ waiting: ["b", "c"] }), {
    waiting: ["a", "b", "c"],
    idle_after_seconds: 60,
  });
  assert.equal(merged({ idle_after_seconds: 9 })?.idle_after_seconds, 9);
});

Deno.test("attention: patterns that nothing here takes are told of, each by its place", () => {
  const of = (waiting: string[]) => validateTemplate({ ...base, attention: { waiting } });
  assert.deepEqual(of(["READY\\?", "(?i)go on"]), []);
  const [first, ...more] = of(["ok", "(?=x)"]);
  assert.equal(first?.field, "attention.waiting[1]");
  assert.deepEqual(more, []);
  assert.match(of(Array(17).fill("a"))[0]!.message, /more than 16/);
  assert.equal(Template.safeParse({ attention: { idle_after_seconds: 1 } }).success, false);
});
