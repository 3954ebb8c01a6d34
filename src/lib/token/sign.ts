// SPDX-License-Identifier: Apache-2.0

/** Makes service tokens: the daemon's half. */
import { importJWK, SignJWT } from "jose";
import type { ProxyPolicy } from "../schema/policy.ts";
import { rulesForRole } from "./rules.ts";
import { tokenKeyId } from "./trust.ts";

/** The `typ` of a service token: no other JWT passes for one. */
export const TOKEN_TYPE = "bureau-service+jwt";
export const TOKEN_ALGORITHM = "EdDSA";
export const TOKEN_LIFE_MS = 5 * 60_000;

export interface TokenKey {
  /** Secret. */
  readonly privateJwk: JsonWebKey;
  /** Hexadecimal, 32 bytes. */
  readonly publicKey: string;
}

export interface TokenRequest {
  /** User id of the machine whose key signs. */
  readonly machine: string;
  /** User id of the caller. */
  readonly subject: string;
  /** User id of the service: a service that a token was shown to can't show it to another. */
  readonly service: string;
  readonly role: string;
  /** Everything that the caller may do. */
  readonly policy: ProxyPolicy;
  readonly now: number;
}

export async function generateTokenKey(): Promise<TokenKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ]) as CryptoKeyPair;
  const { x, d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  return {
    privateJwk: { kty: "OKP", crv: "Ed25519", x: x!, d: d! },
    publicKey: Uint8Array.fromBase64(x!, { alphabet: "base64url" }).toHex(),
  };
}

/** @returns a JWT that ends after `TOKEN_LIFE_MS` */
export async function signToken(key: TokenKey, request: TokenRequest): Promise<string> {
  const { machine, subject, service, role, policy, now } = request;
  const { grants, denials } = rulesForRole(policy, role);
  const id = crypto.getRandomValues(new Uint8Array(16)).toHex();
  return await new SignJWT({ role, grants, denials })
    .setProtectedHeader({
      alg: TOKEN_ALGORITHM,
      typ: TOKEN_TYPE,
      kid: tokenKeyId(key.publicKey),
    })
    .setIssuer(machine)
    .setSubject(subject)
    .setAudience(service)
    .setJti(id)
    // To the millisecond (RFC 7519 §2 allows it): a revocation and the token after it may be one second's.
    .setIssuedAt(now / 1000)
    .setExpirationTime((now + TOKEN_LIFE_MS) / 1000)
    .sign(await importJWK({ ...key.privateJwk, kty: "OKP" }, TOKEN_ALGORITHM));
}
