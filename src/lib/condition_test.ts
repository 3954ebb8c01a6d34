// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { matchesContent } from "./condition.ts";
import { ContentMatch, StartCondition } from "./schema/condition.ts";

const matches = (content: Record<string, unknown>, match: unknown) =>
  matchesContent(content, ContentMatch.parse(match));

Deno.test("content matches by type, operator and list", () => {
  const content = { status: "active", n: 2, text: "2", done: false, tags: ["a", 5], none: null };
  for (
    const match of [
      {},
      { status: "active" },
      { n: 2, text: "2", done: false },
      { n: { $eq: 2 } },
      { n: { $gt: 1, $lt: 3 }, status: { $in: ["pending", "active"] } },
      { n: { $gte: 2, $lte: 2 } },
      { tags: "a" },
      { tags: { $gt: 4 } },
      { tags: { $in: ["z", "a"] } },
    ]
  ) assert.ok(matches(content, match), JSON.stringify(match));
  for (
    const match of [
      { status: "Active" },
      { n: "2" },
      { text: 2 },
      { text: { $gte: 0 } },
      { n: { $gt: 2 } },
      { n: { $gt: 1, $lt: 2 } },
      { done: "false" },
      { missing: "x" },
      { missing: { $lt: 5 } },
      { none: "null" },
      { constructor: "x" },
      { tags: "b" },
      // One element must meet all operators, not each its own.
      { tags: { $gt: 4, $lt: 5 } },
      { status: "active", n: 3 },
    ]
  ) assert.ok(!matches(content, match), JSON.stringify(match));
});

Deno.test("a condition that would be read otherwise than it was meant is refused", () => {
  for (
    const match of [
      { a: null },
      { a: {} },
      { a: { $in: [] } },
      { a: { $ne: 1 } },
      { a: { $eq: 1, $regex: "x" } },
      { a: { $lt: "1" } },
      { a: ["x"] },
      { a: { $eq: null } },
    ]
  ) assert.ok(!ContentMatch.safeParse(match).success, JSON.stringify(match));
  assert.ok(StartCondition.safeParse({ event_type: "t", room_alias: "#a/b:c:8448" }).success);
  for (
    const condition of [
      {},
      { event_type: "" },
      { event_type: "t", room_alias: "!id:server" },
      { event_type: "t", room_alias: "#noserver" },
    ]
  ) assert.ok(!StartCondition.safeParse(condition).success, JSON.stringify(condition));
});
