// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { createLogger } from "../log.ts";
import { REDACTED, revealed, Secret, secretBytes } from "./mod.ts";

const VALUE = "swordfish-4711";

Deno.test("a secret is shown nowhere: not printed, joined, serialised, logged or in an error", () => {
  using secret = Secret.fromText(VALUE);
  const said: string[] = [];
  // The logger's types refuse it; who forces it in gets the same.
  const field = secret as unknown as string;
  createLogger("test", {}, (line) => void said.push(line)).info("x", { secret: field });
  const shown = [
    String(secret),
    `${secret}`,
    "" + secret,
    JSON.stringify({ secret }),
    Deno.inspect(secret),
    Deno.inspect({ deep: [secret] }),
    inspect(secret, { depth: 9, showHidden: true }),
    Object.prototype.toString.call(secret),
    JSON.stringify(Object.assign({}, secret)),
    new Error(`no: ${secret}`).message,
    Object.entries(secret).join(),
    ...said,
  ];
  for (const text of shown) {
    assert.ok(!text.includes("swordfish"), text);
  }
  assert.equal(String(secret), REDACTED);
  assert.equal(said.length, 1);
  // The control: it is in there.
  assert.equal(secret.reveal(), VALUE);
});

Deno.test("a secret that is closed is zeros, and can't be used", () => {
  const bytes = new TextEncoder().encode(VALUE);
  {
    using secret = Secret.fromBytes(bytes);
    assert.equal(revealed(secret), VALUE);
    assert.equal(secretBytes(secret), bytes);
  }
  assert.deepEqual(bytes, new Uint8Array(VALUE.length));
  const closed = Secret.fromText(VALUE);
  closed.close();
  closed.close();
  assert.throws(() => closed.reveal(), { code: "secret-closed" });
  assert.throws(() => closed.bytes, { code: "secret-closed" });
  assert.equal(`${closed}`, REDACTED);
});

Deno.test("a secret can't be copied into another thread or a clone", () => {
  using secret = Secret.fromText(VALUE);
  const clone: unknown = structuredClone(secret);
  assert.ok(!Deno.inspect(clone, { depth: 9, showHidden: true }).includes("swordfish"));
});
