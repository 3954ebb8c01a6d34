// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Document, SearchIndex, tokensOf } from "./mod.ts";

const tool = (name: string, description: string): Document => ({
  name,
  fields: [{ text: name, weight: 3 }, { text: description, weight: 2 }],
});

Deno.test("SearchIndex finds what a person means, a name before a description", () => {
  const index = new SearchIndex([
    tool("bureau_agent_list", "List the agents assigned to this machine"),
    tool("bureau_agent_create", "Assign an agent to this machine"),
    tool("bureau_egress_list", "List what agents ask to connect to"),
    tool("bureau_matrix_send", "Send a message to a room"),
  ]);
  const names = (query: string, limit?: number) =>
    index.search(query, limit).map(({ name }) => name);
  assert.equal(names("create agent")[0], "bureau_agent_create");
  assert.equal(names("LIST egress!")[0], "bureau_egress_list");
  assert.deepEqual(names("message"), ["bureau_matrix_send"]);
  assert.equal(names("list", 1).length, 1);
  assert.deepEqual(names("zebra żółw"), []);
  assert.deepEqual(names(""), []);
  assert.deepEqual(new SearchIndex([]).search("x"), []);
  assert.deepEqual(tokensOf("Ein-Wort_2 ÄB"), ["ein", "wort", "2", "b"]);
});

/** The formula as it stands in the books, over text that is written out as often as it weighs. */
function slowly(documents: readonly Document[], query: string): Map<string, number> {
  const texts = documents.map(({ name, fields }) => ({
    name,
    words: fields.flatMap(({ text, weight }) => Array(weight).fill(tokensOf(text)).flat()),
  }));
  const average = texts.reduce((sum, { words }) => sum + words.length, 0) / texts.length;
  const scores = new Map<string, number>();
  for (const { name, words } of texts) {
    let score = 0;
    for (const word of new Set(tokensOf(query))) {
      const tf = words.filter((other) => other === word).length;
      const df = texts.filter((other) => other.words.includes(word)).length;
      const idf = Math.log(1 + (texts.length - df + 0.5) / (df + 0.5));
      if (tf > 0) {
        score += idf * (tf * 2.2) / (tf + 1.2 * (1 - 0.75 + 0.75 * (words.length / average)));
      }
    }
    if (score > 0) scores.set(name, score);
  }
  return scores;
}

const words = fc.array(fc.constantFrom("a", "b", "c", "dd", "e1", "-", "Ä"), { maxLength: 8 })
  .map((parts) => parts.join(" "));
const documents = fc.uniqueArray(
  fc.record({
    name: fc.string({ unit: fc.constantFrom("x", "y", "z", "1"), minLength: 1, maxLength: 4 }),
    fields: fc.array(fc.record({ text: words, weight: fc.integer({ min: 1, max: 3 }) }), {
      maxLength: 3,
    }),
  }),
  { selector: ({ name }) => name, maxLength: 8 },
);

Deno.test("SearchIndex scores as the formula says, and neither order of documents nor of words matters", () => {
  fc.assert(fc.property(documents, words, (all, query) => {
    const hits = new SearchIndex(all).search(query);
    const expected = slowly(all, query);
    assert.equal(hits.length, expected.size);
    for (const { name, score } of hits) {
      assert.ok(Math.abs(score - expected.get(name)!) < 1e-9, `${name}: ${score}`);
      assert.ok(score > 0);
    }
    for (const [at, hit] of hits.entries()) {
      const next = hits[at + 1];
      if (next === undefined) break;
      assert.ok(hit.score > next.score || (hit.score === next.score && hit.name < next.name));
    }
    const otherQuery = query.split(" ").reverse().join(" ");
    assert.deepEqual(new SearchIndex([...all].reverse()).search(otherQuery), hits);
    assert.deepEqual(new SearchIndex(all).search(query, 2), hits.slice(0, 2));
  }));
});
