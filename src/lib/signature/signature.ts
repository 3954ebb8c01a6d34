// SPDX-License-Identifier: Apache-2.0

/**
 * Ed25519 over the canonical JSON of a Matrix event's content without its `signature` field. The
 * reader pins public keys; nothing inside the content says which key to trust.
 */
import { canonicalJson, sha256Hex } from "../canonical/mod.ts";
import { BureauError, type ErrorDetail } from "../errors.ts";
import type { Signature } from "../schema/events.ts";

export class SignatureError extends BureauError {
  override readonly name = "SignatureError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 403, ...detail });
  }
}

/** A key pair as it is stored: JSON, 0600. `privateJwk` is secret. */
export interface SigningKey {
  /** Unpadded base64url of the 32 raw bytes. */
  readonly publicKey: string;
  /** First 16 hex characters of SHA-256 over the raw public key. */
  readonly keyId: string;
  readonly privateJwk: JsonWebKey;
}

export async function generateSigningKey(): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const jwk = await crypto.subtle.exportKey("jwk", (pair as CryptoKeyPair).privateKey);
  return {
    publicKey: jwk.x!,
    keyId: await keyIdOf(jwk.x!),
    privateJwk: { kty: "OKP", crv: "Ed25519", x: jwk.x!, d: jwk.d! },
  };
}

/**
 * Reads a stored key and makes sure that its halves belong together.
 * @throws {SignatureError} `bad-signing-key`, never quoting the key
 */
export async function parseSigningKey(json: unknown): Promise<SigningKey> {
  const bad = (why: string) =>
    new SignatureError("bad-signing-key", `Cannot read "signing key": ${why}`, {
      hint:
        "restore the file from a backup, or make a new key and let the launcher's policy name it",
    });
  const { publicKey, privateJwk } = (json ?? {}) as Partial<Record<string, unknown>>;
  if (typeof publicKey !== "string" || typeof privateJwk !== "object" || privateJwk === null) {
    throw bad("it must hold publicKey and privateJwk");
  }
  const jwk = privateJwk as JsonWebKey;
  if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || jwk.x !== publicKey || !jwk.d) {
    throw bad("it is not an Ed25519 key pair");
  }
  const key: SigningKey = { publicKey, keyId: await keyIdOf(publicKey), privateJwk: jwk };
  try {
    await verifyContent(await signContent({ probe: 1 }, key), [publicKey]);
  } catch {
    throw bad("its private and public halves don't belong together");
  }
  return key;
}

/** First 16 hex characters of SHA-256 over a raw public key. @throws {SignatureError} `bad-public-key` */
export async function keyIdOf(publicKey: string): Promise<string> {
  return (await sha256Hex(decode(publicKey, 32, "public key"))).slice(0, 16);
}

/** @returns the content with `signature` set, replacing one that was there */
export async function signContent<T extends object>(
  content: T,
  key: SigningKey,
): Promise<Omit<T, "signature"> & { signature: Signature }> {
  const bare = withoutSignature(content);
  const privateKey = await crypto.subtle.importKey("jwk", key.privateJwk, "Ed25519", false, [
    "sign",
  ]);
  const bytes = new TextEncoder().encode(canonicalJson(bare));
  const value = new Uint8Array(await crypto.subtle.sign("Ed25519", privateKey, bytes));
  return {
    ...bare,
    signature: {
      key_id: await keyIdOf(key.publicKey),
      value: value.toBase64({ alphabet: "base64url", omitPadding: true }),
    },
  };
}

/**
 * Verifies content as it came from the wire (before any schema drops fields it doesn't know: they are
 * signed too).
 * @param publicKeys pinned keys; an empty list trusts nobody
 * @throws {SignatureError} `unsigned`, `unknown-key`, `bad-signature`, `bad-public-key`
 */
export async function verifyContent(
  content: object,
  publicKeys: readonly string[],
): Promise<{ keyId: string }> {
  const signature = (content as { signature?: unknown }).signature;
  if (typeof signature !== "object" || signature === null) {
    throw new SignatureError("unsigned", `Cannot accept "content": it is not signed`);
  }
  const { key_id: keyId, value } = signature as Record<string, unknown>;
  if (typeof keyId !== "string" || typeof value !== "string") {
    throw new SignatureError("unsigned", `Cannot accept "content": its signature is malformed`);
  }
  const publicKey = await findKey(keyId, publicKeys);
  const verifier = await crypto.subtle.importKey(
    "raw",
    decode(publicKey, 32, "public key"),
    "Ed25519",
    false,
    ["verify"],
  );
  const bytes = new TextEncoder().encode(canonicalJson(withoutSignature(content)));
  const good = await crypto.subtle.verify(
    "Ed25519",
    verifier,
    decode(value, 64, "signature"),
    bytes,
  );
  if (!good) {
    throw new SignatureError(
      "bad-signature",
      `Cannot accept "content": its signature does not match, it was changed after signing`,
    );
  }
  return { keyId };
}

async function findKey(keyId: string, publicKeys: readonly string[]): Promise<string> {
  for (const publicKey of publicKeys) {
    if (await keyIdOf(publicKey) === keyId) return publicKey;
  }
  throw new SignatureError(
    "unknown-key",
    `Cannot accept "content": it is signed by an unknown key`,
    { hint: "an operator's public key belongs into operator_keys of the launcher's policy file" },
  );
}

function withoutSignature<T extends object>(content: T): Omit<T, "signature"> {
  const { signature: _, ...bare } = content as T & { signature?: unknown };
  return bare;
}

function decode(text: string, length: number, what: string): Uint8Array<ArrayBuffer> {
  const code = what === "signature" ? "bad-signature" : "bad-public-key";
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    // Unpadded and strict: one key, one spelling.
    if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new Error("alphabet");
    bytes = Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "loose" });
    if (bytes.toBase64({ alphabet: "base64url", omitPadding: true }) !== text) throw new Error();
  } catch {
    throw new SignatureError(code, `Cannot read "${what}": it must be unpadded base64url`);
  }
  if (bytes.length !== length) {
    throw new SignatureError(code, `Cannot read "${what}": it must be ${length} bytes`);
  }
  return bytes;
}
