// SPDX-License-Identifier: Apache-2.0

/** The scanner finds what was planted, in every form, wherever it lies: else its silence says nothing. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { findIn, formsOf, scanDirectories } from "./scan.ts";

const SECRET = 'sk-"Zürich"/+% 0123456789';
const secrets = { key: SECRET };

Deno.test("findIn() finds a secret in each form that programs write", () => {
  const bytes = new TextEncoder().encode(SECRET);
  const basic = new TextEncoder().encode(`someone:${SECRET}`).toBase64();
  for (
    const text of [
      `Authorization: Bearer ${SECRET}`,
      `?key=${encodeURIComponent(SECRET)}&x=1`,
      JSON.stringify({ key: SECRET }),
      bytes.toHex(),
      basic,
      bytes.toBase64({ alphabet: "base64url", omitPadding: true }),
      [...SECRET].reverse().join(""),
    ]
  ) {
    const found = findIn(new TextEncoder().encode(text), formsOf(secrets), "here");
    assert.notDeepEqual(found, [], text);
  }
});

Deno.test("findIn() finds a secret in base64 whatever stands around it", () => {
  fc.assert(fc.property(
    fc.uint8Array({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 20 }),
    (before, after) => {
      const bytes = new Uint8Array([...before, ...new TextEncoder().encode(SECRET), ...after]);
      const text = new TextEncoder().encode(bytes.toBase64());
      assert.ok(findIn(text, formsOf(secrets), "here").length > 0);
    },
  ));
});

Deno.test("findIn() is silent about other text", () => {
  const other = new TextEncoder().encode(SECRET.replace("Z", "z").repeat(10));
  assert.deepEqual(findIn(other, formsOf(secrets), "here"), []);
});

Deno.test("scanDirectories() finds contents, names and links, across pieces, and says what it can't read", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const value = "0123456789abcdefghij";
  try {
    await Deno.mkdir(`${dir}/deep/deeper`, { recursive: true });
    await Deno.writeTextFile(`${dir}/deep/plain`, `x${value}x`);
    await Deno.writeTextFile(`${dir}/deep/${value}`, "");
    await Deno.symlink(`/nowhere/${value}`, `${dir}/deep/deeper/link`);
    await Deno.mkdir(`${dir}/vault`);
    await Deno.writeTextFile(`${dir}/vault/key`, value);
    const big = new Uint8Array(9 * 1024 * 1024);
    big.set(new TextEncoder().encode(value), 8 * 1024 * 1024 - 7);
    await Deno.writeFile(`${dir}/deep/deeper/big`, big);
    const looked = await scanDirectories([dir, `${dir}/absent`], { key: value }, [`${dir}/vault`]);
    const where = looked.findings.map(({ where }) => where.replace(dir, "")).sort();
    assert.deepEqual(where, [
      "/deep/deeper/big",
      "/deep/deeper/link",
      "/deep/plain",
      `the name ${dir}/deep/${value}`.replace(dir, ""),
    ]);
    assert.equal(looked.files, 3);
    assert.equal(looked.unread.length, 1);
    assert.ok(
      !JSON.stringify(looked.findings.map(({ form, secret }) => [form, secret]))
        .includes(value),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
