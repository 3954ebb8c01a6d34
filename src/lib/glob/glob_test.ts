// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { isGlob, isUserPattern, matchGlob, matchUserPattern } from "./mod.ts";

Deno.test("matchGlob() follows the language when given its table", () => {
  const table: [string, string, boolean][] = [
    ["**", "anything/at/all", true],
    ["**", "", true],
    ["matrix/*", "matrix/join", true],
    ["matrix/*", "matrix/send/m.room.message", false],
    ["matrix/send/*", "matrix/send/m.room.message", true],
    ["matrix/**", "matrix", true],
    ["matrix/**", "matrix/send/x", true],
    ["matrix/**", "matrixx", false],
    ["*/agent/**", "ns/agent/a/b", true],
    ["**/agent", "agent", true],
    ["**/agent", "a/b/agent", true],
    ["**/agent", "a/xagent", false],
    ["a/**/b", "a/b", true],
    ["a/**/b", "a/x/y/b", true],
    ["a/**/b", "a/x/y/c", false],
    ["a/**/a", "a", false],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[a-c]x", "bx", true],
    ["[^a-c]x", "bx", false],
    ["[^a]", "/", false],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
    ["?", "😀", true],
    ["*a*a*a*b", "aaaaaaaaaaaaaaaa", false],
    ["observe", "observe/read-write", false],
  ];
  for (const [pattern, path, expected] of table) {
    assert.equal(matchGlob(pattern, path), expected, `${pattern} on ${path}`);
  }
});

Deno.test("matchGlob() matches nothing when the pattern is malformed", () => {
  const malformed = [
    "",
    "a//b",
    "/a",
    "a/",
    "a**",
    "**a",
    "a/**b",
    "***",
    "a/**/b/**",
    "**/a/**",
    "[",
    "[]",
    "[a",
    "[a-",
    "[z-a]",
    "[^]",
    "a\\",
    "[a/b]",
    "\ud800",
    "x".repeat(2000),
  ];
  for (const pattern of malformed) {
    assert.equal(isGlob(pattern), false, pattern);
    for (const path of [pattern, "a", "a/b", "", "/"]) {
      assert.equal(matchGlob(pattern, path), false, `${pattern} on ${path}`);
    }
  }
});

Deno.test("matchGlob() answers at once when a pattern is made to backtrack", () => {
  const before = performance.now();
  assert.equal(matchGlob("*a".repeat(200) + "b", "a".repeat(20_000)), false);
  assert.ok(performance.now() - before < 2_000);
});

/** The language again, as slowly and plainly as it can be said. */
function reference(pattern: string, path: string): boolean {
  const segment = (p: string, s: string): boolean => {
    if (p === "") return s === "";
    if (p[0] === "*") {
      for (let cut = 0; cut <= s.length; cut++) if (segment(p.slice(1), s.slice(cut))) return true;
      return false;
    }
    return s !== "" && (p[0] === "?" || p[0] === s[0]) && segment(p.slice(1), s.slice(1));
  };
  const all = (ps: string[], ss: string[]): boolean => {
    if (ps.length === 0) return ss.length === 0;
    if (ps[0] === "**") {
      for (let cut = 0; cut <= ss.length; cut++) if (all(ps.slice(1), ss.slice(cut))) return true;
      return false;
    }
    return ss.length > 0 && segment(ps[0]!, ss[0]!) && all(ps.slice(1), ss.slice(1));
  };
  const parts = pattern.split("/");
  if (parts.includes("")) return false;
  if (parts.some((part) => part !== "**" && part.includes("**"))) return false;
  if (parts.filter((part) => part === "**").length > 1) return false;
  return all(parts, path.split("/"));
}

const letters = (alphabet: string[], max: number) =>
  fc.array(fc.constantFrom(...alphabet), { maxLength: max }).map((list) => list.join(""));

Deno.test("matchGlob() agrees with a slow reference when pattern and path are random", () => {
  fc.assert(
    fc.property(
      fc.oneof(letters(["a", "b", "*", "?", "/", "**", "/**", "/**/"], 8), letters(["a", "/"], 4)),
      letters(["a", "b", "/"], 8),
      (pattern, path) => assert.equal(matchGlob(pattern, path), reference(pattern, path)),
    ),
    { numRuns: 3000 },
  );
});

Deno.test("matchGlob() matches only itself when the pattern has no special character", () => {
  const name = fc.stringMatching(/^[a-z0-9._=-]{1,8}(\/[a-z0-9._=-]{1,8}){0,3}$/);
  fc.assert(fc.property(name, name, (a, b) => {
    assert.equal(matchGlob(a, a), true);
    assert.equal(matchGlob(a, b), a === b);
  }));
});

Deno.test("matchGlob() never throws when anything is given", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (p, s) => {
    assert.equal(typeof matchGlob(p, s), "boolean");
    assert.equal(typeof matchUserPattern(p, s), "boolean");
  }));
});

Deno.test("matchUserPattern() needs both halves when deciding", () => {
  assert.equal(matchUserPattern("agent/**:bureau.local", "@agent/scribe:bureau.local"), true);
  assert.equal(matchUserPattern("@agent/**:bureau.local", "agent/scribe:bureau.local"), true);
  assert.equal(matchUserPattern("agent/**:bureau.local", "@agent/scribe:evil.example"), false);
  assert.equal(matchUserPattern("agent/**:*", "@agent/scribe:evil.example"), true);
  for (const bad of ["agent/**", "agent/**:", ":bureau.local", "", "@", "**"]) {
    assert.equal(isUserPattern(bad), false, bad);
    assert.equal(matchUserPattern(bad, "@agent/scribe:bureau.local"), false, bad);
  }
  assert.equal(matchUserPattern("**:**", "@agent/scribe"), false);
});
