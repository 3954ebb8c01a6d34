// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { CredentialBundle } from "../schema/events.ts";
import { generateMachineKey, recipientOf, sealBundle, SealedError, unsealBundle } from "./mod.ts";

const SECRET = "hunter2-hunter2";
const bundle: CredentialBundle = {
  version: 1,
  principal: "@bureau/fleet/dev/agent/scribe:bureau.local",
  matrix: { homeserver_url: "http://127.0.0.1:6167", user_id: "@a:b", access_token: SECRET },
  credentials: { API_KEY: { value: SECRET, allowed_hosts: ["127.0.0.1:1"], ca: "PEM" } },
};

const refuses = (promise: Promise<unknown>, code: string) =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof SealedError, String(error));
    assert.equal(error.code, code);
    const text = `${error.message} ${error.hint} ${error.cause} ${error.stack}`;
    assert.ok(!text.includes(SECRET) && !/AGE-SECRET-KEY-1[A-Z0-9]/.test(text), text);
    return true;
  });

Deno.test("unsealBundle() opens the bundle when sealed to any of several machines", async () => {
  const [a, b] = [await generateMachineKey(), await generateMachineKey()];
  const sealed = await sealBundle(bundle, [a.recipient, b.recipient]);
  assert.ok(!atob(sealed).includes(SECRET));
  assert.deepEqual(await unsealBundle(sealed, a.identity), bundle);
  assert.deepEqual(await unsealBundle(sealed, `# a comment\n${b.identity}\n`), bundle);
  assert.equal(await recipientOf(`${a.identity}\n`), a.recipient);
});

Deno.test("unsealBundle() refuses without quoting when key or file is wrong", async () => {
  const [a, b] = [await generateMachineKey(), await generateMachineKey()];
  const sealed = await sealBundle(bundle, [a.recipient]);
  await refuses(unsealBundle(sealed, b.identity), "wrong-key");
  await refuses(unsealBundle(sealed, "AGE-SECRET-KEY-1BROKEN"), "bad-machine-key");
  await refuses(unsealBundle(sealed, ""), "bad-machine-key");
  await refuses(unsealBundle("%%%", a.identity), "bad-ciphertext");
  await refuses(unsealBundle(btoa("not an age file"), a.identity), "bad-ciphertext");
  const bytes = Uint8Array.fromBase64(sealed);
  bytes[bytes.length - 1]! ^= 1;
  await refuses(unsealBundle(bytes.toBase64(), a.identity), "bad-ciphertext");
  await refuses(unsealBundle("A".repeat(70_000), a.identity), "too-large");
});

Deno.test("unsealBundle() names fields and not values when the plaintext has another shape", async () => {
  const { Encrypter } = await import("age-encryption");
  const key = await generateMachineKey();
  for (
    const plaintext of [
      SECRET,
      JSON.stringify(SECRET),
      JSON.stringify({ ...bundle, version: SECRET }),
      JSON.stringify({ ...bundle, credentials: { [SECRET]: SECRET } }),
    ]
  ) {
    const encrypter = new Encrypter();
    encrypter.addRecipient(key.recipient);
    const sealed = (await encrypter.encrypt(plaintext)).toBase64();
    await refuses(unsealBundle(sealed, key.identity), "bad-bundle");
  }
});

Deno.test("sealBundle() refuses when nobody, a stranger or too much is named", async () => {
  const key = await generateMachineKey();
  await refuses(sealBundle(bundle, []), "bad-recipient");
  await refuses(sealBundle(bundle, ["escrow:operator"]), "bad-recipient");
  const other = key.recipient.endsWith("q") ? "p" : "q";
  await refuses(sealBundle(bundle, [key.recipient.slice(0, -1) + other]), "bad-recipient");
  const huge = { ...bundle, credentials: { A: { value: "x".repeat(60_000), allowed_hosts: [] } } };
  await refuses(sealBundle(huge, [key.recipient]), "too-large");
  await refuses(sealBundle({ ...bundle, version: 2 } as never, [key.recipient]), "bad-bundle");
});
