// SPDX-License-Identifier: Apache-2.0

/**
 * SSH keys over WebCrypto: Ed25519 (RFC 8709), ECDSA on P-256 and P-384 (RFC 5656) and RSA with SHA-2
 * (RFC 8332). Private keys come in OpenSSH's own form (PROTOCOL.key of OpenSSH), without a passphrase.
 */
import { concatBytes } from "../bytes.ts";
import { SshFormatError, sshMpint, SshReader, sshString } from "./wire.ts";

/** Flags of a signing request (draft-ietf-sshm-ssh-agent §3.6.1). */
export const RSA_SHA2_256 = 2;
export const RSA_SHA2_512 = 4;

const MAGIC = new TextEncoder().encode("openssh-key-v1\0");
const CURVES: Readonly<Record<string, { curve: string; hash: string; bytes: number }>> = {
  "ecdsa-sha2-nistp256": { curve: "P-256", hash: "SHA-256", bytes: 32 },
  "ecdsa-sha2-nistp384": { curve: "P-384", hash: "SHA-384", bytes: 48 },
};
const RSA_HASHES: Readonly<Record<string, string>> = {
  "rsa-sha2-256": "SHA-256",
  "rsa-sha2-512": "SHA-512",
};

export interface SshPrivateKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa` … */
  readonly type: string;
  readonly publicBlob: Uint8Array;
  /**
   * @param flags of the signing request
   * @returns a signature blob; null where the flags ask for what is not done any more (SHA-1)
   */
  sign(data: Uint8Array, flags: number): Promise<Uint8Array | null>;
}

interface Unsealed {
  readonly type: string;
  readonly publicBlob: Uint8Array;
  /** The private section after its two check numbers. Secret. */
  readonly fields: SshReader;
}

/** @throws {SshFormatError} that never quotes the key */
function open(pem: string): Unsealed {
  const found =
    /^\s*-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END OPENSSH PRIVATE KEY-----\s*$/
      .exec(pem);
  if (found === null) {
    throw new SshFormatError(
      "it is not an OpenSSH private key (-----BEGIN OPENSSH PRIVATE KEY-----)",
    );
  }
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.fromBase64(found[1]!.replace(/\s/g, ""));
  } catch {
    throw new SshFormatError("its base64 is damaged");
  }
  const reader = new SshReader(bytes);
  if (reader.remaining < MAGIC.length || !sameBytes(reader.take(MAGIC.length), MAGIC)) {
    throw new SshFormatError("it does not begin as an OpenSSH private key");
  }
  const cipher = reader.text();
  reader.text();
  reader.string();
  if (cipher !== "none") {
    throw new SshFormatError(
      "it has a passphrase; make a copy without one: `ssh-keygen -p -N '' -f COPY`",
    );
  }
  if (reader.uint32() !== 1) throw new SshFormatError("it holds more than one key");
  const publicBlob = reader.string();
  const fields = new SshReader(reader.string());
  if (fields.uint32() !== fields.uint32()) throw new SshFormatError("its check numbers differ");
  const type = fields.text();
  if (new SshReader(publicBlob).text() !== type) {
    throw new SshFormatError("its halves are of different types");
  }
  return { type, publicBlob, fields };
}

/**
 * The public half, as a line of `authorized_keys` without a comment.
 * @param pem `-----BEGIN OPENSSH PRIVATE KEY-----…`
 * @throws {SshFormatError} that never quotes the key
 */
export function publicKeyLine(pem: string): string {
  const { type, publicBlob } = open(pem);
  return `${type} ${publicBlob.toBase64()}`;
}

/**
 * @param pem `-----BEGIN OPENSSH PRIVATE KEY-----…`. Secret.
 * @throws {SshFormatError} that never quotes the key
 */
export async function importPrivateKey(pem: string): Promise<SshPrivateKey> {
  const { type, publicBlob, fields } = open(pem);
  const sign = await signerOf(type, fields).catch((thrown) => {
    throw thrown instanceof SshFormatError ? thrown : new SshFormatError("its numbers are no key");
  });
  return { type, publicBlob, sign };
}

type Sign = SshPrivateKey["sign"];

async function signerOf(type: string, fields: SshReader): Promise<Sign> {
  if (type === "ssh-ed25519") return await ed25519(fields);
  if (type === "ssh-rsa") return await rsa(fields);
  if (CURVES[type] !== undefined) return await ecdsa(type, fields);
  throw new SshFormatError(
    `"${type.slice(0, 60)}" keys are not used here; make one with \`ssh-keygen -t ed25519 -N ''\``,
  );
}

async function ed25519(fields: SshReader): Promise<Sign> {
  const point = fields.string();
  const secret = fields.string();
  if (point.length !== 32 || secret.length !== 64) throw new SshFormatError("its length is wrong");
  const key = await crypto.subtle.importKey(
    "jwk",
    { kty: "OKP", crv: "Ed25519", x: base64url(point), d: base64url(secret.subarray(0, 32)) },
    "Ed25519",
    false,
    ["sign"],
  );
  return async (data) =>
    signature("ssh-ed25519", new Uint8Array(await crypto.subtle.sign("Ed25519", key, copy(data))));
}

async function ecdsa(type: string, fields: SshReader): Promise<Sign> {
  const { curve, hash, bytes } = CURVES[type]!;
  fields.string();
  const { x, y } = coordinates(fields.string(), bytes);
  const key = await crypto.subtle.importKey(
    "jwk",
    { kty: "EC", crv: curve, x, y, d: base64url(padded(fields.mpint(), bytes)) },
    { name: "ECDSA", namedCurve: curve },
    false,
    ["sign"],
  );
  return async (data) => {
    const raw = new Uint8Array(
      await crypto.subtle.sign({ name: "ECDSA", hash }, key, copy(data)),
    );
    const numbers = [sshMpint(raw.subarray(0, bytes)), sshMpint(raw.subarray(bytes))];
    return signature(type, concatBytes(numbers));
  };
}

async function rsa(fields: SshReader): Promise<Sign> {
  const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => fields.mpint()) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  // OpenSSH leaves the two exponents of the Chinese remainder theorem out.
  const lessOne = (prime: Uint8Array) => number(d) % (number(prime) - 1n);
  const jwk = {
    kty: "RSA",
    n: base64url(n),
    e: base64url(e),
    d: base64url(d),
    p: base64url(p),
    q: base64url(q),
    dp: base64url(bytesOf(lessOne(p))),
    dq: base64url(bytesOf(lessOne(q))),
    qi: base64url(qi),
  };
  const keyFor = (hash: string) =>
    crypto.subtle.importKey("jwk", jwk, { name: "RSASSA-PKCS1-v1_5", hash }, false, ["sign"]);
  const keys = { "rsa-sha2-256": await keyFor("SHA-256"), "rsa-sha2-512": await keyFor("SHA-512") };
  return async (data, flags) => {
    const name = (flags & RSA_SHA2_512) !== 0
      ? "rsa-sha2-512"
      : (flags & RSA_SHA2_256) !== 0
      ? "rsa-sha2-256"
      : null;
    if (name === null) return null;
    const made = await crypto.subtle.sign("RSASSA-PKCS1-v1_5", keys[name], copy(data));
    return signature(name, new Uint8Array(made));
  };
}

/**
 * Whether `blob` is a signature over `data` by the key `publicBlob`. What can't be read, SHA-1 and kinds
 * that are not known here are none.
 */
export async function verifySignature(
  publicBlob: Uint8Array,
  blob: Uint8Array,
  data: Uint8Array,
): Promise<boolean> {
  try {
    const given = new SshReader(blob);
    const algorithm = given.text();
    const bytes = given.string();
    const key = new SshReader(publicBlob);
    const type = key.text();
    if (type === "ssh-ed25519" && algorithm === type) {
      return await verify(
        { kty: "OKP", crv: "Ed25519", x: base64url(key.string()) },
        "Ed25519",
        bytes,
        data,
      );
    }
    const curve = CURVES[type];
    if (curve !== undefined && algorithm === type) {
      key.string();
      const point = coordinates(key.string(), curve.bytes);
      const pair = new SshReader(bytes);
      const raw = concatBytes([
        padded(pair.mpint(), curve.bytes),
        padded(pair.mpint(), curve.bytes),
      ]);
      const use = { name: "ECDSA", namedCurve: curve.curve, hash: curve.hash };
      return await verify({ kty: "EC", crv: curve.curve, ...point }, use, raw, data);
    }
    const hash = RSA_HASHES[algorithm];
    if (type === "ssh-rsa" && hash !== undefined) {
      const e = key.mpint();
      const n = key.mpint();
      if (n.length < 256) return false;
      const use = { name: "RSASSA-PKCS1-v1_5", hash };
      return await verify({ kty: "RSA", n: base64url(n), e: base64url(e) }, use, bytes, data);
    }
    return false;
  } catch {
    return false;
  }
}

async function verify(
  jwk: JsonWebKey,
  use: string | { name: string; hash: string; namedCurve?: string },
  bytes: Uint8Array,
  data: Uint8Array,
): Promise<boolean> {
  const key = await crypto.subtle.importKey("jwk", jwk, use, false, ["verify"]);
  return await crypto.subtle.verify(use, key, copy(bytes), copy(data));
}

function signature(algorithm: string, bytes: Uint8Array): Uint8Array {
  return concatBytes([sshString(algorithm), sshString(bytes)]);
}

/** Of an uncompressed point. */
function coordinates(point: Uint8Array, bytes: number): { x: string; y: string } {
  if (point.length !== 1 + 2 * bytes || point[0] !== 4) {
    throw new SshFormatError("its point is not an uncompressed one");
  }
  return {
    x: base64url(point.subarray(1, 1 + bytes)),
    y: base64url(point.subarray(1 + bytes)),
  };
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length > length) throw new SshFormatError("a number is too long");
  return concatBytes([new Uint8Array(length - bytes.length), bytes]);
}

function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function number(bytes: Uint8Array): bigint {
  return BigInt(`0x${bytes.toHex() || "0"}`);
}

function bytesOf(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return Uint8Array.fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
