// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { compare, differenceLines } from "./compare.ts";

Deno.test("templates are compared field by field, lists entry by entry", () => {
  const before = {
    description: "a",
    environment_variables: { HOME: "/x", LANG: "C" },
    create_dirs: ["/one", "/two"],
    egress: { allow: ["a:1", "b:2"] },
  };
  const after = {
    description: "a",
    environment_variables: { HOME: "/y", "__proto__x": "1" },
    create_dirs: ["/two", "/one"],
    egress: { allow: ["b:2", { host: "c:3" }] },
    bridge: true,
  };
  assert.deepEqual(differenceLines(compare(before, after)), [
    "+ bridge: true",
    '- create_dirs: ["/one","/two"]',
    '+ create_dirs: ["/two","/one"]',
    "- egress.allow[]: a:1",
    '+ egress.allow[]: {"host":"c:3"}',
    "- environment_variables.HOME: /x",
    "+ environment_variables.HOME: /y",
    "- environment_variables.LANG: C",
    "+ environment_variables.__proto__x: 1",
  ]);
  assert.deepEqual(compare(before, structuredClone(before)), []);
});

Deno.test("a value that somebody else wrote moves no cursor", () => {
  const lines = differenceLines(compare({ a: "x" }, { a: "\u001b[2J\nfake" }));
  assert.deepEqual(lines.map((line) => line.includes("\u001b") || line.includes("\n")), [
    false,
    false,
  ]);
});
