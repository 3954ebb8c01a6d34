// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { newLines } from "./follow.ts";

const ask = (id: string, host = "x.test") => ({
  id,
  principal: "bureau/fleet/dev/agent/a",
  host,
  port: 443,
  since: 0,
  until: 1,
  waiting: 1,
});
const now = (...pending: ReturnType<typeof ask>[]) => ({ pending, decided: [], rules: [] });

Deno.test("newLines() shows each question once, with what answers it", () => {
  const known = new Set<string>();
  assert.deepEqual(newLines(now(ask("abc")), known), [
    "ASK       agent/a asks to connect to x.test:443: bureau egress approve abc, or bureau egress deny abc",
  ]);
  assert.deepEqual(newLines(now(ask("abc")), known), []);
  assert.equal(newLines(now(ask("abc"), ask("def")), known).length, 1);
  assert.deepEqual(newLines(now(), known), []);
  assert.equal(known.size, 0);
});
