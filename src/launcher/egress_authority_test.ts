// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { egressAuthority, placeholderFor } from "./egress_authority.ts";

const IDENTITY = "AGE-SECRET-KEY-1TEST";

Deno.test("egressAuthority() is one principal's and one machine's, the same each time", async () => {
  const first = await egressAuthority(IDENTITY, "@a:x");
  const again = await egressAuthority(IDENTITY, "@a:x");
  assert.equal(first.key, again.key);
  assert.equal(first.common_name, again.common_name);
  const read = new X509Certificate(first.certificate);
  assert.ok(read.ca);
  // What an earlier launcher's sandbox trusts stands for what a later one's proxy issues with.
  assert.ok(read.verify(new X509Certificate(again.certificate).publicKey));
  for (const [identity, name] of [[IDENTITY, "@b:x"], [`${IDENTITY}2`, "@a:x"]] as const) {
    const other = await egressAuthority(identity, name);
    assert.notEqual(other.key, first.key);
    assert.equal(read.verify(new X509Certificate(other.certificate).publicKey), false);
  }
});

Deno.test("placeholderFor() names the credential, and nobody else can say its id", async () => {
  const made = await placeholderFor(IDENTITY, "@a:x", "GITHUB_TOKEN");
  assert.match(made, /^bureau-placeholder-github-token-[0-9a-f]{32}$/);
  assert.equal(await placeholderFor(IDENTITY, "@a:x", "GITHUB_TOKEN"), made);
  assert.notEqual(await placeholderFor(IDENTITY, "@b:x", "GITHUB_TOKEN"), made);
  assert.notEqual(await placeholderFor(IDENTITY, "@a:x", "GITHUB-TOKEN"), made);
  assert.match(await placeholderFor(IDENTITY, "@a:x", "…"), /^bureau-placeholder-credential-/);
});
