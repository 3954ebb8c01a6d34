// SPDX-License-Identifier: Apache-2.0

/**
 * The certificate authority of one principal: its proxy ends the TLS of hosts that it swaps placeholders for.
 *
 * Its key is derived from the machine's key and the principal's name, so it is the same after every restart of
 * launcher and proxy, without ever standing on a disk: a sandbox that outlives its launcher goes on trusting its
 * proxy. Each principal has its own, and only its own sandbox trusts it. It carries no name constraints, since
 * egress rules change while the sandbox, which has the certificate, runs.
 */
import { Buffer } from "node:buffer";
import { createECDH } from "node:crypto";
import { issueCertificate, P256_ORDER } from "../lib/certificate/mod.ts";
import { secretBytes, type Sensitive } from "../lib/secret/mod.ts";
import type { EgressAuthority } from "../proxy/api.ts";

/** Fixed: the certificate of a restart must stand for the one in the sandbox. UTCTime ends with 2049. */
const NOT_BEFORE = Date.UTC(2025, 0, 1);
const NOT_AFTER = Date.UTC(2049, 11, 31);

/** DER of a P-256 key's SubjectPublicKeyInfo and of its PKCS #8, up to the bytes of the key (RFC 5480, RFC 5958). */
const SPKI_HEAD = Uint8Array.fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");
const PKCS8_HEAD = Uint8Array.fromHex(
  "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420",
);
const PKCS8_PUBLIC = Uint8Array.fromHex("a144034200");

/** @param identity the machine's age key; secret */
export async function egressAuthority(
  identity: Sensitive,
  principal: string,
): Promise<EgressAuthority> {
  const scalar = await deriveScalar(identity, principal);
  const pair = createECDH("prime256v1");
  pair.setPrivateKey(Buffer.from(scalar));
  const point = new Uint8Array(pair.getPublicKey());
  const publicKey = Uint8Array.from([...SPKI_HEAD, ...point]);
  const pkcs8 = Uint8Array.from([...PKCS8_HEAD, ...scalar, ...PKCS8_PUBLIC, ...point]);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", publicKey));
  // Principals may be longer than the 64 characters of a common name.
  const commonName = `Bureau proxy ${hash.toHex().slice(0, 16)}`;
  const key = await crypto.subtle.importKey(
    "pkcs8",
    pkcs8,
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
  return {
    common_name: commonName,
    key: pkcs8.toBase64(),
    public_key: publicKey.toBase64(),
    certificate: await issueCertificate({ commonName, key, publicKey }, {
      commonName,
      publicKey,
      serial: hash.subarray(0, 16),
      notBefore: NOT_BEFORE,
      notAfter: NOT_AFTER,
      role: { kind: "authority" },
    }),
  };
}

/** 48 bytes, so that what the remainder favours is below 2^-128 (FIPS 186-5 A.2.1). */
async function deriveScalar(identity: Sensitive, principal: string): Promise<Uint8Array> {
  const bytes = await derive(identity, `bureau egress authority v1\0${principal}`, 48);
  const number = BigInt(`0x${bytes.toHex()}`) % (P256_ORDER - 1n) + 1n;
  return Uint8Array.fromHex(number.toString(16).padStart(64, "0"));
}

/** HKDF-SHA256 (RFC 5869) from the machine's key. */
async function derive(identity: Sensitive, info: string, length: number): Promise<Uint8Array> {
  const encoder = new TextEncoder();
  const secret = await crypto.subtle.importKey("raw", secretBytes(identity), "HKDF", false, [
    "deriveBits",
  ]);
  const bits = await crypto.subtle.deriveBits(
    { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(info) },
    secret,
    length * 8,
  );
  return new Uint8Array(bits);
}

/**
 * What stands for a credential in the sandbox: the same after every restart, unknown to other principals, and
 * made of characters that no encoding of a request changes.
 */
export async function placeholderFor(
  identity: Sensitive,
  principal: string,
  credential: string,
): Promise<string> {
  const id = await derive(identity, `bureau placeholder v1\0${principal}\0${credential}`, 16);
  const shown = credential.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  return `bureau-placeholder-${shown || "credential"}-${id.toHex()}`;
}
