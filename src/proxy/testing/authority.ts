// SPDX-License-Identifier: Apache-2.0

/** A principal's certificate authority, as its launcher would derive it. */
import { issueCertificate } from "../../lib/certificate/mod.ts";
import type { EgressAuthority } from "../api.ts";

const DAY = 86_400_000;

export async function makeAuthority(): Promise<EgressAuthority> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const commonName = "Bureau proxy test";
  return {
    common_name: commonName,
    key: new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey)).toBase64(),
    public_key: publicKey.toBase64(),
    certificate: await issueCertificate({ commonName, key: pair.privateKey, publicKey }, {
      commonName,
      publicKey,
      serial: Uint8Array.of(1),
      notBefore: Date.now() - DAY,
      notAfter: Date.now() + DAY,
      role: { kind: "authority" },
    }),
  };
}
