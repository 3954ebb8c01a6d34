// SPDX-License-Identifier: Apache-2.0

/**
 * A server's certificate from an authority that is made for it alone. The authority's key is thrown away when that is
 * signed: whoever was told to trust the authority trusts this one server by it, whatever becomes of the machine.
 */
import type { Clock } from "../clock.ts";
import { issueCertificate } from "./certificate.ts";
import { pem } from "./der.ts";

/** Apple's systems take no server certificate of more than 398 days. */
const VALID_MS = 397 * 86_400_000;
/** A clock that is a little behind ours. */
const BEFORE_MS = 86_400_000;
/** One with less than this left is made anew at the next occasion. */
export const RENEW_MS = 30 * 86_400_000;

const generateKeys = () =>
  crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);

const spki = async (key: CryptoKey) => new Uint8Array(await crypto.subtle.exportKey("spki", key));

function serial(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0]! &= 0x7f;
  bytes[0]! |= 0x40;
  return bytes;
}

export interface SelfMade {
  /** PEM of the authority. */
  readonly authority: string;
  /** PEM of the server's, and the authority's behind it. */
  readonly certificate: string;
  /** PEM. Secret. */
  readonly key: string;
  /** Milliseconds since the epoch. */
  readonly expires_at: number;
}

/** @param host a DNS name or an address */
export async function makeSelfMade(host: string, clock: Clock): Promise<SelfMade> {
  const [authorityKeys, serverKeys] = await Promise.all([generateKeys(), generateKeys()]);
  const notBefore = clock.now() - BEFORE_MS;
  const notAfter = notBefore + VALID_MS;
  const commonName = `Bureau at ${host}`;
  const issuer = {
    commonName,
    key: authorityKeys.privateKey,
    publicKey: await spki(authorityKeys.publicKey),
  };
  const validity = { notBefore, notAfter };
  const authority = await issueCertificate(issuer, {
    ...{ commonName, publicKey: issuer.publicKey, serial: serial(), ...validity },
    role: { kind: "authority" },
  });
  const server = await issueCertificate(issuer, {
    commonName: host,
    publicKey: await spki(serverKeys.publicKey),
    ...{ serial: serial(), ...validity },
    role: { kind: "server", host },
  });
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", serverKeys.privateKey));
  return {
    authority,
    certificate: server + authority,
    key: pem("PRIVATE KEY", key),
    expires_at: notAfter,
  };
}

/** Of an authority's certificate, as browsers show it. */
export async function fingerprint(certificate: string): Promise<string> {
  const der = Uint8Array.fromBase64(certificate.replace(/-----[A-Z ]+-----|\s/g, ""));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", der));
  return digest.toHex().toUpperCase().match(/../g)!.join(":");
}

/** The same, as a person gives it to a program: `sha256:…`. */
export async function pinOf(certificate: string): Promise<string> {
  return `sha256:${(await fingerprint(certificate)).replaceAll(":", "").toLowerCase()}`;
}
