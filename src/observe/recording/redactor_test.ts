// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { listSecrets } from "../../lib/recording/mod.ts";
import { type Recorded, Redactor } from "./redactor.ts";
import { MOST_HELD } from "./scanner.ts";

const SECRET = "sk-test-51HqJ8fK2eZvKYlo2C";
const LONG = Array.from({ length: 12 }, (_, turn) => `part${turn}of-a-long-token`).join(".");

const encode = (text: string) => new TextEncoder().encode(text);
const textOf = (items: readonly Recorded[]) => {
  const decoder = new TextDecoder();
  return items.map((item) => "bytes" in item ? decoder.decode(item.bytes, { stream: true }) : "")
    .join("");
};

/** What reaches the disk of these writes. */
async function recorded(
  writes: readonly (string | Uint8Array)[],
  secrets: readonly string[] | null = [SECRET, LONG],
): Promise<string> {
  const redactor = new Redactor(secrets === null ? null : await listSecrets(secrets));
  const out: Recorded[] = [];
  for (const [at, write] of writes.entries()) {
    await redactor.output(at, typeof write === "string" ? encode(write) : write.slice());
    out.push(...redactor.take());
  }
  return textOf([...out, ...redactor.take(true)]);
}

/** Without what a terminal does not show as text. */
// deno-lint-ignore no-control-regex -- escape sequences are what is taken away
const bare = (text: string) => text.replaceAll(/\x1b\[[0-9;?]*[@-~]|[\s│┃|]/g, "");

const CASES: [name: string, writes: string[]][] = [
  ["whole", [`the key is ${SECRET}.\r\n`]],
  ["a byte at a time", [...`the key is ${SECRET}.\r\n`]],
  ["wrapped over two lines", [`${SECRET.slice(0, 9)}\r\n${SECRET.slice(9)} after`]],
  ["wrapped by moving the cursor", [`${SECRET.slice(0, 9)}\x1b[5;1H${SECRET.slice(9)} after`]],
  ["coloured in the middle", [`${SECRET.slice(0, 9)}\x1b[1;31m${SECRET.slice(9)}\x1b[0m after`]],
  ["in a frame", [`│ ${SECRET.slice(0, 9)}   │\r\n│ ${SECRET.slice(9)} │`]],
  ["twice", [`${SECRET}${SECRET}`]],
  ["percent-encoded", [`?key=${encodeURIComponent(SECRET)}&`]],
  ["a long one", [`Bearer ${LONG}\r\n`]],
  ["a long one in pieces", [`Bearer ${LONG}\r\n`.slice(0, 120), `${LONG.slice(113)}\r\n`]],
];

for (const [name, writes] of CASES) {
  Deno.test(`a secret never reaches the disk: ${name}`, async () => {
    const shown = await recorded(writes);
    for (const secret of [SECRET, LONG]) assert.ok(!bare(shown).includes(secret), shown);
    assert.ok(shown.includes("*".repeat(9)), shown);
    // The control: without the list it is there, so that the look above would have seen it.
    const control = bare(await recorded(writes, null));
    assert.ok([SECRET, LONG].some((secret) => control.includes(secret)), control);
  });
}

Deno.test("stars are as many as what they stand for, and everything else is as it was", async () => {
  const text = `before ${SECRET} between \x1b[1m${SECRET}\x1b[0m after\r\n`;
  assert.equal(await recorded([text]), text.replaceAll(SECRET, "*".repeat(SECRET.length)));
  const harmless = "│ sk-test-51HqJ8fK2eZvKYlo2D │ sk-test- │\r\n\x1b[2Jnothing ✓ 漢字\r\n";
  assert.equal(await recorded([...harmless]), harmless);
});

Deno.test("a screen that is drawn anew from the middle of a secret that was seen", async () => {
  const [head, tail] = [SECRET.slice(0, 10), SECRET.slice(10)];
  const scrolled = `\x1b[H${tail}\r\nnext line\r\n`;
  const shown = await recorded([`${head}\r\n${tail}\r\n`, scrolled]);
  assert.ok(!shown.includes(tail), shown);
  // The limit: of one that was never seen whole, nobody knows what its end is.
  assert.ok((await recorded([scrolled])).includes(tail));
});

Deno.test("all writes of it, however it is cut and coloured", async () => {
  const list = await listSecrets([SECRET, LONG]);
  const noise = fc.constantFrom("", "\x1b[32m", "\x1b[0m", "\r\n", " ", "\x1b[3;1H", "│", "\x1b(B");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(SECRET, LONG),
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.array(fc.tuple(fc.nat(), noise), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      async (secret, before, noises, cuts) => {
        const marks = noises.map(([at, what]) => [at % secret.length, what] as const);
        const text = [...secret].map((character, index) =>
          marks.filter(([at]) => at === index).map(([, what]) => what).join("") + character
        ).join("");
        const bytes = encode(`${before.replaceAll("\x1b", "")} ${text} after`);
        const ends = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
        const writes = [0, ...ends].map((from, index) =>
          bytes.slice(from, [...ends, bytes.length][index])
        );
        const redactor = new Redactor(list);
        const out: Recorded[] = [];
        for (const write of writes) {
          await redactor.output(0, write);
          out.push(...redactor.take());
        }
        const shown = textOf([...out, ...redactor.take(true)]);
        assert.ok(!bare(shown).includes(secret), shown);
        assert.ok(shown.endsWith(" after"), shown);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("no more than the longest piece waits, and events wait behind it", async () => {
  const redactor = new Redactor(await listSecrets([SECRET, LONG]));
  const text = "x".repeat(10_000);
  await redactor.output(1, encode(text));
  redactor.event(2, "r", "90x30");
  const first = redactor.take();
  assert.ok(textOf(first).length >= text.length - MOST_HELD);
  assert.ok(first.every((item) => "bytes" in item));
  const rest = redactor.take(true);
  assert.equal(textOf(first).length + textOf(rest).length, text.length);
  assert.deepEqual(rest.at(-1), { at: 2, code: "r", data: "90x30", from: text.length });
});

Deno.test("secrets that come later are found from then on, also when they began before", async () => {
  const redactor = new Redactor(await listSecrets([LONG]));
  await redactor.output(0, encode(SECRET.slice(0, 12)));
  redactor.replace(await listSecrets([SECRET]));
  await redactor.output(1, encode(`${SECRET.slice(12)} and ${SECRET}`));
  const stars = "*".repeat(SECRET.length);
  assert.equal(textOf(redactor.take(true)), `${stars} and ${stars}`);
});

Deno.test("a screen is looked at as a whole", async () => {
  const redactor = new Redactor(await listSecrets([SECRET]));
  const screen = encode(`${SECRET.slice(5)}\r\nsome ${SECRET} text\r\n${SECRET.slice(0, 14)}`);
  const shown = new TextDecoder().decode(await redactor.screen(screen));
  assert.equal(shown.replaceAll("*", ""), "\r\nsome  text\r\n");
  // And what the stream goes on with is known in parts too.
  await redactor.output(0, encode(`${SECRET.slice(8)} `));
  assert.equal(textOf(redactor.take(true)), `${"*".repeat(SECRET.length - 8)} `);
});

Deno.test("short values are let be: they would take words out of ordinary text", async () => {
  assert.equal((await listSecrets(["hunter2", "a b c d e f g", ""])).pieces.length, 0);
  const text = "hunter2 is what everybody reads";
  assert.equal(await recorded([text], ["hunter2"]), text);
});

Deno.test("the list does not hold what it is about", async () => {
  const list = JSON.stringify(await listSecrets([SECRET, LONG]));
  for (const secret of [SECRET, LONG]) {
    for (let from = 0; from + 6 <= secret.length; from++) {
      assert.ok(!list.includes(secret.slice(from, from + 6)));
    }
  }
  // Each list has keys of its own: two relays' lists can't be compared.
  assert.notEqual(list, JSON.stringify(await listSecrets([SECRET, LONG])));
});
