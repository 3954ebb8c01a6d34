// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { SignJWT } from "jose";
import { generateSigningKey } from "../../lib/signature/mod.ts";
import { generateTokenKey } from "../../lib/token/mod.ts";
import { encodeWarrant, WARRANT_MS } from "./api.ts";
import { AssertionReader, decodeWarrant, signAssertion, SKEW_MS } from "./assertion.ts";
import { HERE, OPERATOR, THERE, trusted, warrantOf } from "./testing/fleet.ts";

const PATH = "/v1/principals";
const [operator, here, there] = await Promise.all([
  generateSigningKey(),
  generateTokenKey(),
  generateTokenKey(),
]);

interface World {
  now?: () => number;
  keys?: () => ReturnType<typeof trusted>[];
}

const readerOf = ({ now = Date.now, keys }: World = {}) =>
  new AssertionReader({
    machine: THERE,
    operatorKeys: [operator.publicKey],
    keys: keys ?? (() => [trusted(here, HERE), trusted(there, THERE)]),
    now,
  });

const assertionOf = async (
  changes: Parameters<typeof warrantOf>[1] = {},
  { key = here, machine = HERE, signer = operator, now = Date.now() } = {},
) => await signAssertion(key, { machine, warrant: await warrantOf(signer, changes), now });

async function refusal(
  assertion: string | Promise<string>,
  code: string,
  reader = readerOf(),
  path = PATH,
): Promise<void> {
  await assert.rejects(async () => await reader.read(await assertion, path), { code });
}

Deno.test("an operator's warrant counts once, by whom it names, for what it names", async () => {
  const reader = readerOf();
  const assertion = await assertionOf({ mode: "readwrite" });
  const { warrant, from } = await reader.read(assertion, PATH);
  assert.deepEqual([from, warrant.subject, warrant.mode], [HERE, OPERATOR, "readwrite"]);
  await refusal(assertion, "peer-used", reader);
  // The machine may sign around it anew: it is the warrant that is used up.
  const again = await signAssertion(here, { machine: HERE, warrant, now: Date.now() });
  await refusal(again, "peer-used", reader);
});

Deno.test("a machine that was taken over can't speak for an operator", async () => {
  // A warrant that somebody else signed, or one that was changed.
  await refusal(assertionOf({}, { signer: await generateSigningKey() }), "peer-forged");
  const good = await warrantOf(operator);
  for (
    const changed of [
      { mode: "readwrite" },
      { path: "/v1/principals/x/observe" },
      { expires_at: Number(good["expires_at"]) - 1 },
      { nonce: "0".repeat(32) },
      { more: 1 },
    ]
  ) {
    const warrant = { ...good, ...changed };
    await refusal(
      signAssertion(here, { machine: HERE, warrant, now: Date.now() }),
      "peer-forged",
      readerOf(),
      String(warrant["path"]),
    );
  }
  // What was given to another machine to carry, or for another one to answer.
  await refusal(assertionOf({ via: THERE }), "peer-wrong-warrant");
  await refusal(assertionOf({ machine: HERE }), "peer-forged");
  const wrong = await warrantOf(operator, { machine: HERE });
  const around = { machine: HERE, warrant: { ...wrong, machine: THERE }, now: Date.now() };
  await refusal(signAssertion(here, around), "peer-forged");
  await refusal(assertionOf({ subject: "@operator:elsewhere.org" }), "peer-wrong-warrant");
  await refusal(assertionOf(), "peer-wrong-warrant", readerOf(), "/v1/principals/x");
});

Deno.test("who has the operator's warrant still needs a machine of the fleet", async () => {
  const stranger = await generateTokenKey();
  await refusal(assertionOf({}, { key: stranger }), "peer-unknown-key");
  // Another machine's key, and one that says to be another machine.
  await refusal(assertionOf({}, { key: there }), "peer-unknown-key");
  await refusal(assertionOf({}, { machine: THERE }), "peer-unknown-key");
  // One that was put out has published nothing any more, or says until when.
  await refusal(assertionOf(), "peer-unknown-key", readerOf({ keys: () => [] }));
  const until = Date.now() - SKEW_MS - 1;
  const keys = () => [{ ...trusted(here, HERE), until }];
  await refusal(assertionOf(), "peer-unknown-key", readerOf({ keys }));
});

Deno.test("times: neither early, late, long, nor of before the daemon began", async () => {
  const now = Date.now();
  const at = (ms: number) => ({ now: () => now + ms });
  const assertion = await assertionOf({ issued_at: now, expires_at: now + WARRANT_MS }, { now });
  const later = readerOf(at(-1));
  assert.equal((await later.read(assertion, PATH)).from, HERE);
  await refusal(assertion, "peer-expired", readerOf(at(30_000 + SKEW_MS + 1_000)));
  await refusal(assertion, "peer-malformed", readerOf(at(-SKEW_MS - 60_000)));
  let time = now - 1;
  const old = readerOf({ now: () => time });
  time = now + WARRANT_MS + SKEW_MS + 1;
  // A machine that kept it signs around it when it is over.
  const kept = await warrantOf(operator, { issued_at: now, expires_at: now + WARRANT_MS });
  const late = signAssertion(here, { machine: HERE, warrant: kept, now: time });
  await refusal(late, "peer-expired", old);
  const long = { issued_at: now, expires_at: now + WARRANT_MS + 1 };
  await refusal(assertionOf(long, { now }), "peer-malformed", readerOf(at(-1)));
  await refusal(assertion, "peer-expired", readerOf(at(5_000)));
});

Deno.test("other JWTs, other algorithms and any text are refused", async () => {
  const key = await crypto.subtle.importKey(
    "jwk",
    here.privateJwk,
    "Ed25519",
    false,
    ["sign"],
  );
  const reader = readerOf();
  const warrant = await warrantOf(operator);
  const kid = trusted(here, HERE).id;
  const claims = (alg: string, typ: string) =>
    new SignJWT({ warrant })
      .setProtectedHeader({ alg, typ, kid })
      .setIssuer(HERE).setSubject(OPERATOR).setAudience(THERE).setJti("j")
      .setIssuedAt().setExpirationTime("20s");
  assert.ok(await reader.read(await claims("EdDSA", "bureau-peer+jwt").sign(key), PATH));
  for (const typ of ["bureau-service+jwt", "JWT"]) {
    await refusal(claims("EdDSA", typ).sign(key), "peer-forged");
  }
  const secret = new TextEncoder().encode(here.publicKey);
  await refusal(claims("HS256", "bureau-peer+jwt").sign(secret), "peer-forged");
  const good = await assertionOf();
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 2), fc.constantFrom("A", "b", "9", "_"), async (i, c) => {
      if (good[i] === c) return;
      const changed = good.slice(0, i) + c + good.slice(i + 1);
      await assert.rejects(reader.read(changed, PATH));
    }),
    { numRuns: 200 },
  );
  for (const text of ["", "a.b.c", "x".repeat(100_000)]) {
    await assert.rejects(reader.read(text, PATH));
    assert.equal(decodeWarrant(text), null);
  }
  assert.deepEqual(decodeWarrant(encodeWarrant(warrant)), warrant);
});
