// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Secrets } from "./scrub.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function scrubbed(secrets: Secrets, chunks: readonly string[]): string[] {
  const stream = secrets.stream();
  return [...chunks.map((chunk) => decode(stream.push(encode(chunk)))), decode(stream.end())];
}

Deno.test("Secrets takes a secret out in every form, across any chunks, and keeps the length", () => {
  const secrets = new Secrets(['pa ss"word/1', "abcdefgh"]);
  for (
    const [chunks, expected] of [
      [["x abcdefgh y"], "x ******** y"],
      [["x abc", "def", "gh y"], "x ******** y"],
      [['{"k":"pa ss\\"word/1"}'], '{"k":"*************"}'],
      [["/?k=pa%20ss%22", "word%2F1&"], "/?k=******************&"],
      [["abcdefg", "x"], "abcdefgx"],
      [["abcabcde", "fgh"], "abc********"],
      [["abcdefg"], "abcdefg"],
    ] as const
  ) assert.equal(scrubbed(secrets, chunks).join(""), expected);
});

Deno.test("Secrets passes on at once what can be no part of a secret", () => {
  const stream = new Secrets(["abcdefgh"]).stream();
  assert.equal(decode(stream.push(encode("data: 1\n\n"))), "data: 1\n\n");
  assert.equal(decode(stream.push(encode("data: ab"))), "data: ");
  assert.equal(decode(stream.push(encode("out\n\n"))), "about\n\n");
});

Deno.test("Secrets ignores what is too short to be told from text", () => {
  const secrets = new Secrets(["abc", ""]);
  assert.ok(secrets.isEmpty);
});

Deno.test("Secrets: any chunks give what the whole gives, and no secret is left", () => {
  // A small alphabet and secrets that begin and end alike: every overlap happens.
  const word = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 8, maxLength: 12 });
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 80 });
  fc.assert(
    fc.property(
      fc.array(word, { minLength: 1, maxLength: 3 }),
      fc.array(fc.oneof(text, word), { maxLength: 6 }),
      fc.array(fc.nat(20), { maxLength: 30 }),
      (values, parts, cuts) => {
        const secrets = new Secrets(values);
        const all = parts.join("");
        const chunks: string[] = [];
        let rest = all;
        for (const cut of cuts) {
          chunks.push(rest.slice(0, cut));
          rest = rest.slice(cut);
        }
        chunks.push(rest);
        const whole = encode(all);
        secrets.scrubWhole(whole);
        const streamed = scrubbed(secrets, chunks).join("");
        assert.equal(streamed, decode(whole));
        for (const value of values) assert.ok(!streamed.includes(value));
        for (const [at, char] of [...streamed].entries()) {
          assert.ok(char === "*" || char === all[at]);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
