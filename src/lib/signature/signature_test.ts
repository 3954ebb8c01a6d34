// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  generateSigningKey,
  keyIdOf,
  parseSigningKey,
  SignatureError,
  signContent,
  verifyContent,
} from "./mod.ts";

const refuses = (promise: Promise<unknown>, code: string) =>
  assert.rejects(promise, (error) => error instanceof SignatureError && error.code === code);

Deno.test("verifyContent() accepts what signContent() signed when keys are in another order", async () => {
  const key = await generateSigningKey();
  const signed = await signContent({ b: 1, a: { d: [1, 2], c: "é" } }, key);
  const received = JSON.parse(
    `{"signature":${JSON.stringify(signed.signature)},"a":{"c":"é","d":[1,2]},"b":1}`,
  );
  assert.deepEqual(await verifyContent(received, [key.publicKey]), { keyId: key.keyId });
  const other = await generateSigningKey();
  assert.equal((await verifyContent(received, [other.publicKey, key.publicKey])).keyId, key.keyId);
});

Deno.test("verifyContent() refuses when anything was changed", async () => {
  const key = await generateSigningKey();
  const signed = await signContent({ principal: "a", issued_at: 1 }, key);
  const keys = [key.publicKey];
  await refuses(verifyContent({ ...signed, principal: "b" }, keys), "bad-signature");
  await refuses(verifyContent({ ...signed, extra: 1 }, keys), "bad-signature");
  const { issued_at: _, ...less } = signed;
  await refuses(verifyContent(less, keys), "bad-signature");
  await refuses(verifyContent({ principal: "a", issued_at: 1 }, keys), "unsigned");
  await refuses(verifyContent({ ...signed, signature: "x" }, keys), "unsigned");
  for (const value of ["", "AA", signed.signature.value + "=", signed.signature.value + "AA"]) {
    const forged = { ...signed, signature: { ...signed.signature, value } };
    await refuses(verifyContent(forged, keys), "bad-signature");
  }
});

Deno.test("verifyContent() refuses when the key is not pinned or is misnamed", async () => {
  const key = await generateSigningKey();
  const other = await generateSigningKey();
  const signed = await signContent({ a: 1 }, key);
  await refuses(verifyContent(signed, []), "unknown-key");
  await refuses(verifyContent(signed, [other.publicKey]), "unknown-key");
  const misnamed = { ...signed, signature: { ...signed.signature, key_id: other.keyId } };
  await refuses(verifyContent(misnamed, [key.publicKey]), "unknown-key");
  await refuses(verifyContent(misnamed, [key.publicKey, other.publicKey]), "bad-signature");
  await refuses(verifyContent(signed, ["short"]), "bad-public-key");
});

Deno.test("keyIdOf() is SHA-256 of the raw key when given RFC 8032's first test key", async () => {
  const raw = Uint8Array.fromHex(
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
  );
  const text = raw.toBase64({ alphabet: "base64url", omitPadding: true });
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw)).toHex();
  assert.equal(await keyIdOf(text), digest.slice(0, 16));
  await refuses(keyIdOf(text + "="), "bad-public-key");
});

Deno.test("parseSigningKey() refuses without quoting when halves don't belong together", async () => {
  const key = await generateSigningKey();
  const stored = JSON.parse(JSON.stringify(key));
  assert.deepEqual(await parseSigningKey(stored), key);
  const other = await generateSigningKey();
  const mixed = { ...stored, privateJwk: { ...stored.privateJwk, d: other.privateJwk.d } };
  for (const bad of [null, {}, "x", { ...stored, publicKey: other.publicKey }, mixed]) {
    await assert.rejects(
      parseSigningKey(bad),
      (error) =>
        error instanceof SignatureError && error.code === "bad-signing-key" &&
        !error.message.includes(other.privateJwk.d!) && error.cause === undefined,
    );
  }
});
