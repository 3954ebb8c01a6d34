// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { makeAuthority } from "../testing/authority.ts";
import { Leaves } from "./leaves.ts";

const DAY = 86_400_000;

Deno.test("Leaves keeps one certificate a host, renews it in time and forgets the oldest", async () => {
  let now = Date.now();
  const leaves = new Leaves(await makeAuthority(), () => now);
  const first = await leaves.for("a.test");
  assert.equal(await leaves.for("a.test"), first);
  assert.equal(leaves.issued, 1);
  const read = new X509Certificate(first.certificate);
  assert.ok(Date.parse(read.validFrom) < now);
  const days = (Date.parse(read.validTo) - Date.parse(read.validFrom)) / DAY;
  assert.ok(days <= 7, `${days} days`);
  now += 5.5 * DAY;
  assert.equal(await leaves.for("a.test"), first);
  now += DAY;
  const renewed = await leaves.for("a.test");
  assert.notEqual(renewed, first);
  assert.ok(Date.parse(new X509Certificate(renewed.certificate).validTo) > now + 5 * DAY);

  for (let at = 0; at < 255; at++) await leaves.for(`${at}.test`);
  // Asked for again, so it is no longer the oldest.
  assert.equal(await leaves.for("a.test"), renewed);
  await leaves.for("one-more.test");
  const { issued } = leaves;
  assert.equal(await leaves.for("a.test"), renewed);
  await leaves.for("0.test");
  assert.equal(leaves.issued, issued + 1);
});
