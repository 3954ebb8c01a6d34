// SPDX-License-Identifier: Apache-2.0

/** The certificates that a principal's own authority issues to the hosts whose TLS ends in its proxy. */
import { issueCertificate, type Issuer, pem } from "../../lib/certificate/mod.ts";
import type { EgressAuthority } from "../api.ts";

const HOUR = 3_600_000;
/** Short, since nobody can revoke one. */
const LIFETIME_MS = 7 * 24 * HOUR - 2 * HOUR;
/** A sandbox whose clock is behind still accepts it. */
const BACKDATED_MS = HOUR;
/** Issued anew when less is left. */
const RENEWED_MS = 24 * HOUR;
const MAX_LEAVES = 256;

export interface Leaf {
  /** PEM, leaf alone: the sandbox has the authority's. */
  readonly certificate: string;
  /** PEM; secret. */
  readonly key: string;
}

interface Kept extends Leaf {
  readonly notAfter: number;
}

export class Leaves {
  readonly #authority: EgressAuthority;
  readonly #now: () => number;
  /** In the order in which they were last asked for. */
  readonly #kept = new Map<string, Kept>();
  #made: Promise<{ issuer: Issuer; key: string; publicKey: Uint8Array }> | null = null;
  /** How many were issued. */
  issued = 0;

  constructor(authority: EgressAuthority, now: () => number) {
    this.#authority = authority;
    this.#now = now;
  }

  /** @param host a name or an address, as in the certificate */
  async for(host: string): Promise<Leaf> {
    const kept = this.#kept.get(host);
    if (kept !== undefined && kept.notAfter - this.#now() > RENEWED_MS) {
      this.#kept.delete(host);
      this.#kept.set(host, kept);
      return kept;
    }
    const leaf = await this.#issue(host);
    this.#kept.delete(host);
    this.#kept.set(host, leaf);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_LEAVES) this.#kept.delete(oldest!);
    return leaf;
  }

  async #issue(host: string): Promise<Kept> {
    this.#made ??= this.#start();
    const { issuer, key, publicKey } = await this.#made;
    const notBefore = this.#now() - BACKDATED_MS;
    const notAfter = notBefore + LIFETIME_MS;
    const certificate = await issueCertificate(issuer, {
      // The names stand in the extension; this one is for people (at most 64 characters).
      commonName: host.slice(0, 64),
      publicKey,
      serial: crypto.getRandomValues(new Uint8Array(16)),
      notBefore,
      notAfter,
      role: { kind: "server", host },
    });
    this.issued++;
    return { certificate, key, notAfter };
  }

  /** One key for every leaf: they differ in their names only, and all end in this process. */
  async #start() {
    const { key, public_key, common_name } = this.#authority;
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    const issuer: Issuer = {
      commonName: common_name,
      key: await crypto.subtle.importKey(
        "pkcs8",
        Uint8Array.fromBase64(key),
        algorithm,
        false,
        ["sign"],
      ),
      publicKey: Uint8Array.fromBase64(public_key),
    };
    const pair = await crypto.subtle.generateKey(algorithm, true, [
      "sign",
      "verify",
    ]) as CryptoKeyPair;
    const exported = (format: "pkcs8" | "spki", part: CryptoKey) =>
      crypto.subtle.exportKey(format, part).then((bytes) => new Uint8Array(bytes));
    return {
      issuer,
      key: pem("PRIVATE KEY", await exported("pkcs8", pair.privateKey)),
      publicKey: await exported("spki", pair.publicKey),
    };
  }
}
