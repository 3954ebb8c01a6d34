// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { applyChange, readEntry } from "./policy.ts";

Deno.test("readEntry() takes what people type, and nothing that would be more than they mean", () => {
  for (
    const [text, entry] of [
      ["Example.org", "example.org:443"],
      ["example.org:8443", "example.org:8443"],
      ["*.example.org", "*.example.org:443"],
      ["[::1]:5432", "[::1]:5432"],
      ["10.0.0.1:80", "10.0.0.1:80"],
      ["preset:npm", "preset:npm"],
    ] as const
  ) assert.equal(readEntry(text), entry, text);
  for (const text of ["", "*", "*:443", "*.org", "https://a.test", "a.test/x", "preset:x", "a b"]) {
    assert.throws(() => readEntry(text), { code: "usage" }, text);
  }
});

Deno.test("readEntry() takes every host of a port only where a person is asked", () => {
  assert.equal(readEntry("*:443", "ask"), "*:443");
  assert.throws(() => readEntry("*:443", "deny"), { code: "usage" });
});

Deno.test("applyChange() leaves a destination in one list, and the rest as it was", () => {
  const rule = { host: "api.test:443", methods: ["GET"] };
  const before = {
    allow: ["a.test:443", rule],
    deny: ["b.test:443"],
    ask: ["*:443"],
    ask_timeout: 60,
  };
  assert.deepEqual(applyChange(before, { list: "allow", entry: "b.test:443" }), {
    allow: ["a.test:443", rule, "b.test:443"],
    ask: ["*:443"],
    ask_timeout: 60,
  });
  assert.deepEqual(applyChange(undefined, { list: "deny", entry: "c.test:443" }), {
    allow: [],
    deny: ["c.test:443"],
  });
  assert.deepEqual(applyChange(before, { list: "deny", entry: "b.test:443", undo: true }), {
    allow: ["a.test:443", rule],
    ask: ["*:443"],
    ask_timeout: 60,
  });
});
