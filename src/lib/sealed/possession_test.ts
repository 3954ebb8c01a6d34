// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { generateMachineKey, isPossessed, makeChallenge, provePossession } from "./mod.ts";

const MACHINE = "@bureau/fleet/dev/machine/worker:s";

Deno.test("who has the private key proves it, and nothing else does", async () => {
  const [challenge, other] = [await makeChallenge(), await makeChallenge()];
  const [own, stranger] = [await generateMachineKey(), await generateMachineKey()];
  const { identity, recipient } = own;
  const proof = await provePossession(identity, recipient, challenge.publicKey, MACHINE);
  assert.match(proof, /^[0-9a-f]{64}$/);
  assert.equal(await isPossessed(challenge, recipient, MACHINE, proof), true);
  // Another key, challenge, machine or proof.
  assert.equal(await isPossessed(challenge, stranger.recipient, MACHINE, proof), false);
  assert.equal(await isPossessed(other, recipient, MACHINE, proof), false);
  assert.equal(await isPossessed(challenge, recipient, `${MACHINE}x`, proof), false);
  for (const bad of ["", proof.slice(1), proof.replace(/.$/, (last) => last === "0" ? "1" : "0")]) {
    assert.equal(await isPossessed(challenge, recipient, MACHINE, bad), false);
  }
  // Who holds the boot file and another's public key, but not its private half.
  const forged = await provePossession(
    stranger.identity,
    recipient,
    challenge.publicKey,
    MACHINE,
  );
  assert.equal(await isPossessed(challenge, recipient, MACHINE, forged), false);
  assert.equal(await isPossessed(challenge, "age1nothing", MACHINE, proof), false);
});

Deno.test("provePossession() refuses what is no key or no challenge, and quotes neither", async () => {
  const { identity, recipient } = await generateMachineKey();
  await assert.rejects(provePossession("AGE-SECRET-KEY-1X", recipient, "00".repeat(32), MACHINE), {
    code: "bad-machine-key",
  });
  await assert.rejects(provePossession(identity, recipient, "xyz", MACHINE), (thrown: Error) => {
    assert.ok(!thrown.message.includes(identity));
    return true;
  });
  // The point at infinity and its like agree with everybody.
  await assert.rejects(provePossession(identity, recipient, "00".repeat(32), MACHINE));
});
