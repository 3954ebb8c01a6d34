// SPDX-License-Identifier: Apache-2.0

/**
 * TLS for the local network: an authority made for one certificate. Its key is thrown away when that is signed, so
 * that a phone which was told to trust the authority trusts this one page by it, whatever becomes of the machine.
 */
import { addressBytes, issueCertificate, pem } from "../../lib/certificate/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Lan } from "./store.ts";

/** Apple's systems take no server certificate of more than 398 days. */
const VALID_MS = 397 * 86_400_000;
/** A clock that is a little behind ours. */
const BEFORE_MS = 86_400_000;
/** A certificate with less than this left is made anew when the listener is asked for again. */
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

/** An address that is neither loopback nor a name: what a phone in the same network can reach. */
export function isLanAddress(text: string): boolean {
  const bytes = addressBytes(text);
  if (bytes === null || (bytes.length !== 4 && bytes.length !== 16)) return false;
  if (bytes.length === 4) {
    return bytes.every((byte) => byte <= 255) && text.split(".").every((part) =>
      Number(part) < 256
    ) &&
      bytes[0] !== 127 && bytes[0] !== 0 && bytes[0]! < 224;
  }
  return bytes.some((byte) => byte !== 0) && !(bytes.subarray(0, 15).every((byte) => byte === 0));
}

export async function makeLan(address: string, port: number, clock: Clock): Promise<Lan> {
  const [authorityKeys, serverKeys] = await Promise.all([generateKeys(), generateKeys()]);
  const notBefore = clock.now() - BEFORE_MS;
  const notAfter = notBefore + VALID_MS;
  const commonName = `Bureau at ${address}`;
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
    commonName: address,
    publicKey: await spki(serverKeys.publicKey),
    ...{ serial: serial(), ...validity },
    role: { kind: "server", host: address },
  });
  const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", serverKeys.privateKey));
  return {
    ...{ address, port, authority },
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
