// SPDX-License-Identifier: Apache-2.0

/** Laws of the glob language that policies rely on, whatever pattern and path. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { isGlob, isUserPattern, matchGlob, matchUserPattern } from "./mod.ts";

const segment = fc.constantFrom("a", "b", "ab", "m.room.message", "x-1");
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((all) => all.join("/"));
const piece = fc.constantFrom("a", "b", "*", "?", "a*", "[ab]", "[!a]", "m.*", "**");
const pattern = fc.array(piece, { minLength: 1, maxLength: 4 }).map((all) => all.join("/"));

Deno.test("** matches every path, and P/** matches P and all below what P matches", () => {
  fc.assert(
    fc.property(pattern, path, path, (prefix, at, below) => {
      assert.equal(matchGlob("**", at), true);
      if (prefix.includes("**") || !matchGlob(prefix, at)) return;
      assert.equal(matchGlob(`${prefix}/**`, at), true);
      assert.equal(matchGlob(`${prefix}/**`, `${at}/${below}`), true);
      assert.equal(matchGlob(prefix, `${at}/${below}`), false, "no star crosses a slash");
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a malformed pattern matches nothing, and what matches something is well formed", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 12 }), path, (text, at) => {
      if (matchGlob(text, at)) assert.ok(isGlob(text), text);
      if (!isGlob(text)) assert.equal(matchGlob(text, at), false);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("a pattern of users never matches anybody of a server that it does not name", () => {
  const server = fc.constantFrom("local", "evil", "evil.local", "local.evil");
  const wanted = fc.constantFrom("local", "*.local", "loc?l");
  fc.assert(
    fc.property(pattern, wanted, path, server, (who, where, localpart, host) => {
      const text = `${who}:${where}`;
      const matched = matchUserPattern(text, `@${localpart}:${host}`);
      if (matched) {
        assert.ok(isUserPattern(text));
        assert.ok(matchGlob(who, localpart) && matchGlob(where, host), text);
      }
      // Without a server nobody is meant.
      assert.equal(matchUserPattern(who, `@${localpart}:${host}`), false);
    }),
    { numRuns: 3000 },
  );
});
