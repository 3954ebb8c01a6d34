// SPDX-License-Identifier: Apache-2.0

/**
 * What a service needs to check tokens without a network: who it is, the signing keys of the fleet's
 * machines, and what was revoked. The daemon of its machine writes it into its sandbox.
 */
import * as z from "zod/mini";
import { messageOf } from "../errors.ts";
import { TokenError } from "./errors.ts";

/** In a service's sandbox. */
export const TRUST_PATH = "/run/bureau/service/trust.json";

export const Revocation = z.object({
  /** User id whose tokens are meant. */
  subject: z.string(),
  /** Those issued up to then, ms since the epoch. */
  until: z.int(),
});
export type Revocation = z.infer<typeof Revocation>;

export const TrustedKey = z.object({
  /** The `kid` of tokens that it signs. */
  id: z.string(),
  /** User id: whose tokens it signs, and nobody else's. */
  machine: z.string(),
  /** Hexadecimal, 32 bytes of Ed25519. */
  public_key: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** Not after this, ms since the epoch; absent: still in use. */
  until: z.optional(z.int()),
});
export type TrustedKey = z.infer<typeof TrustedKey>;

export const ServiceTrust = z.object({
  version: z.literal(1),
  /** User id of the service: what tokens for it have as their audience. */
  service: z.string(),
  keys: z.array(TrustedKey),
  /** By machine that revoked them. */
  revoked: z.record(z.string(), z.array(Revocation)),
});
export type ServiceTrust = z.infer<typeof ServiceTrust>;

/** First 16 hexadecimal characters of the public key: enough to find it among a fleet's. */
export function tokenKeyId(publicKeyHex: string): string {
  return publicKeyHex.slice(0, 16);
}

/**
 * Reads the file anew whenever it was replaced, so that a new key and a revocation hold for the next
 * token. One that can't be read trusts nobody.
 */
export function trustFile(path = TRUST_PATH): () => Promise<ServiceTrust> {
  let known: { stamp: string; trust: ServiceTrust } | null = null;
  return async () => {
    try {
      const { ino, mtime, size } = await Deno.stat(path);
      const stamp = [ino, mtime?.getTime(), size].join(":");
      if (known?.stamp !== stamp) {
        known = { stamp, trust: z.parse(ServiceTrust, JSON.parse(await Deno.readTextFile(path))) };
      }
      return known.trust;
    } catch (thrown) {
      throw new TokenError("no-trust", `Cannot check tokens by "${path}": ${messageOf(thrown)}`, {
        status: 503,
        hint: "the machine's daemon writes it for a service; is the daemon running?",
      });
    }
  };
}
