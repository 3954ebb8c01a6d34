// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readReaction, readReply, readTime } from "./answers.ts";

const once = { kind: "once" } as const;

Deno.test("readReaction() knows the usual signs in every dress, and no other", () => {
  for (const key of ["✅", "👍", "👍🏽", "✔️", "☑️"]) {
    assert.deepEqual(readReaction(key), { verdict: "approve", scope: once }, key);
  }
  for (const key of ["❌", "👎", "👎🏿", "✖️", "🚫"]) {
    assert.deepEqual(readReaction(key), { verdict: "deny", scope: once }, key);
  }
  for (const key of ["", "🎉", "✅✅", "yes", "approve", "✅ or ❌", "❤️"]) {
    assert.equal(readReaction(key), null, key);
  }
});

Deno.test("readReply() takes a decision and its scope, and leaves talk alone", () => {
  assert.deepEqual(readReply("approve"), { verdict: "approve", scope: once });
  assert.deepEqual(readReply(" Deny once "), { verdict: "deny", scope: once });
  assert.deepEqual(readReply("approve 1h"), {
    verdict: "approve",
    scope: { kind: "for", ms: 3_600_000 },
  });
  assert.deepEqual(readReply("deny for 2d"), {
    verdict: "deny",
    scope: { kind: "for", ms: 2 * 86_400_000 },
  });
  assert.deepEqual(readReply("approve always"), {
    verdict: "approve",
    scope: { kind: "always" },
  });
  // What clients quote before the answer is not the answer.
  assert.deepEqual(readReply("> <@m:s> approve 1d\n> always\n\ndeny"), {
    verdict: "deny",
    scope: once,
  });
  for (
    const talk of [
      "",
      "approve it please",
      "do not approve",
      "approve 1y",
      "approve 8d",
      "approve 0m",
      "constructor",
      "what is this?",
    ]
  ) assert.equal(readReply(talk), null, talk);
});

Deno.test("readTime() keeps to a minute and seven days", () => {
  assert.equal(readTime("1m"), 60_000);
  assert.equal(readTime("7d"), 7 * 86_400_000);
  for (const text of ["0m", "8d", "169h", "1", "h", "1.5h", "-1h", "99999d"]) {
    assert.equal(readTime(text), null, text);
  }
});
