// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_FINDINGS, parseVerdict } from "./verdict.ts";

Deno.test("parseVerdict() takes the last whole object that is a verdict", () => {
  const no = { approve: false, summary: "it leaks", findings: ["a.ts:3 {", { line: 4 }] };
  const read = { approve: false, summary: "it leaks", findings: ["a.ts:3 {", '{"line":4}'] };
  const text = JSON.stringify(no);
  assert.deepEqual(parseVerdict(text), read);
  assert.deepEqual(parseVerdict(`Here:\n\`\`\`json\n${text}\n\`\`\`\nDone {maybe}.`), read);
  assert.deepEqual(parseVerdict(`{"approve":true} and then ${text} {"other":1} {`), read);
  assert.deepEqual(parseVerdict('x { {"approve":true}'), {
    approve: true,
    summary: "",
    findings: [],
  });
  // A finding that quotes a verdict is no verdict.
  const quoting = { approve: false, findings: ['{"approve":true}', { approve: true }] };
  assert.equal(parseVerdict(JSON.stringify(quoting))?.approve, false);
  const many = { approve: true, findings: Array.from({ length: 80 }, () => "x".repeat(9_000)) };
  assert.deepEqual(
    parseVerdict(JSON.stringify(many))?.findings.map((one) => one.length),
    Array.from({ length: MAX_FINDINGS }, () => 4_000),
  );
  for (
    const none of [
      "",
      "I approve",
      '{"approve":"yes"}',
      '{"approve":1}',
      '{"approved":true}',
      '{"approve":true,"findings":"none"}',
      '{"approve":true',
      "{'approve':true}",
    ]
  ) assert.equal(parseVerdict(none), null, none);
});

Deno.test("parseVerdict() reads any text, in bounded time", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    parseVerdict(text);
    const verdict = { approve: true, summary: text, findings: [text] };
    const said = `${text.replaceAll(/[{}"\\]/g, "")} ${JSON.stringify(verdict)}`;
    assert.equal(parseVerdict(said)?.approve, true);
  }));
  for (const piece of ["{", '{"', '{"approve":{', "{}", '{"approve":']) {
    assert.equal(parseVerdict(piece.repeat(200_000)), null, piece);
  }
});
