// SPDX-License-Identifier: Apache-2.0

/**
 * How a machine that joins proves that the key it publishes is its own: an X25519 agreement between that
 * key and a challenge from its boot file, bound to the machine's name. Who only relays the key, as a
 * homeserver does, knows neither half; and the secret half of the challenge opens nothing.
 *
 * This is no oracle for what is sealed: age derives its keys from the same agreement under other labels, and
 * only a MAC comes out.
 */
import { revealed, type Sensitive } from "../secret/mod.ts";
import { SealedError } from "./sealed.ts";

const LABEL = "bureau machine key possession v1";
const CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const PKCS8 = Uint8Array.fromHex("302e020100300506032b656e04220420");
const encoder = new TextEncoder();

export interface Challenge {
  /** Hexadecimal; goes into the boot file. */
  readonly publicKey: string;
  /** Hexadecimal; stays with the operator. Secret. */
  readonly privateKey: string;
}

export async function makeChallenge(): Promise<Challenge> {
  const pair = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]);
  const { publicKey, privateKey } = pair as CryptoKeyPair;
  const secret = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  return {
    publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)).toHex(),
    privateKey: secret.slice(-32).toHex(),
  };
}

/**
 * What the machine says.
 * @param identity `AGE-SECRET-KEY-1…`
 * @param recipient its `age1…`
 * @param machine user id
 * @returns hexadecimal
 */
export async function provePossession(
  identity: Sensitive,
  recipient: string,
  challenge: string,
  machine: string,
): Promise<string> {
  return await mac(
    keyBytes(revealed(identity).trim()),
    fromHex(challenge),
    recipient,
    challenge,
    machine,
  );
}

/** What the operator checks: the same agreement from the other side. */
export async function isPossessed(
  challenge: Challenge,
  recipient: string,
  machine: string,
  proof: string,
): Promise<boolean> {
  let expected: string;
  try {
    const secret = fromHex(challenge.privateKey);
    expected = await mac(secret, keyBytes(recipient), recipient, challenge.publicKey, machine);
  } catch {
    return false;
  }
  let difference = expected.length ^ proof.length;
  for (let at = 0; at < expected.length; at++) {
    difference |= expected.charCodeAt(at) ^ (proof.charCodeAt(at) || 0);
  }
  return difference === 0;
}

async function mac(
  secret: Uint8Array<ArrayBuffer>,
  peer: Uint8Array<ArrayBuffer>,
  recipient: string,
  challenge: string,
  machine: string,
): Promise<string> {
  const der = new Uint8Array([...PKCS8, ...secret]);
  const own = await crypto.subtle.importKey("pkcs8", der, { name: "X25519" }, false, [
    "deriveBits",
  ]);
  der.fill(0);
  const other = await crypto.subtle.importKey("raw", peer, { name: "X25519" }, false, []);
  const shared = await crypto.subtle.deriveBits({ name: "X25519", public: other }, own, 256);
  const base = await crypto.subtle.importKey("raw", shared, "HKDF", false, ["deriveKey"]);
  const key = await crypto.subtle.deriveKey(
    {
      name: "HKDF",
      hash: "SHA-256",
      salt: encoder.encode(`${challenge}\n${recipient}`),
      info: encoder.encode(LABEL),
    },
    base,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign"],
  );
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(machine))).toHex();
}

function fromHex(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[0-9a-f]{64}$/.test(text)) throw badKey();
  return Uint8Array.fromHex(text);
}

/** The 32 bytes in an age key, whose checksum age itself verified when it was made or read. */
function keyBytes(text: string): Uint8Array<ArrayBuffer> {
  const data = /^(?:age1|AGE-SECRET-KEY-1)([02-9ac-hj-np-z]{58})$/i.exec(text)?.[1]?.toLowerCase();
  if (data === undefined) throw badKey();
  const bytes = new Uint8Array(32);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const letter of data.slice(0, -6)) {
    bits = (bits << 5 | CHARSET.indexOf(letter)) & 0xfff;
    held += 5;
    if (held >= 8) bytes[at++] = bits >> (held -= 8) & 0xff;
  }
  return bytes;
}

function badKey(): SealedError {
  return new SealedError("bad-machine-key", "Cannot use the key: it is no age X25519 key");
}
