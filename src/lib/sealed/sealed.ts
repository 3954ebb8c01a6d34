// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../errors.ts";
import { revealed, type Sensitive } from "../secret/mod.ts";
import { CredentialBundle } from "../schema/events.ts";

/** Never quotes plaintext or a private key: no `cause` is kept from below either. */
export class SealedError extends BureauError {
  override readonly name = "SealedError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 422, ...detail });
  }
}

/** A machine's key pair as age writes it. */
export interface MachineKeyPair {
  /** `AGE-SECRET-KEY-1…`. Secret; 0600 on disk. */
  readonly identity: string;
  /** `age1…`. */
  readonly recipient: string;
}

/** A Matrix event holds 64 KiB; the base64 of a bundle must fit with room for its envelope. */
export const MAX_CIPHERTEXT = 56 * 1024;

// Loaded on first use: a launcher that has nothing to unseal doesn't pay for the cryptography.
const age = () => import("age-encryption");

export async function generateMachineKey(): Promise<MachineKeyPair> {
  const identity = await (await age()).generateX25519Identity();
  return { identity, recipient: await recipientOf(identity) };
}

/**
 * The public half of a private key.
 * @param identity `AGE-SECRET-KEY-1…`; surrounding blanks, and lines beginning `#`, are ignored
 * @throws {SealedError} `bad-machine-key`
 */
export async function recipientOf(identity: Sensitive): Promise<string> {
  const { identityToRecipient } = await age();
  try {
    return await identityToRecipient(bareIdentity(revealed(identity)));
  } catch (error) {
    if (error instanceof SealedError) throw error;
    throw badKey();
  }
}

/**
 * Seals a bundle so that each of `recipients` can open it.
 * @param recipients `age1…` public keys, at least one
 * @returns base64 of the age file
 * @throws {SealedError} `bad-bundle`, `bad-recipient`, `too-large`
 */
export async function sealBundle(
  bundle: CredentialBundle,
  recipients: readonly string[],
): Promise<string> {
  const checked = parseBundle(bundle);
  if (recipients.length === 0) {
    throw new SealedError("bad-recipient", `Cannot seal "bundle": nobody could open it`);
  }
  const { Encrypter } = await age();
  const encrypter = new Encrypter();
  for (const recipient of new Set(recipients)) {
    try {
      // Only X25519: MachineKey says `age-x25519`, and the library would also take other kinds.
      if (!/^age1[02-9ac-hj-np-z]{58}$/.test(recipient)) throw new Error();
      encrypter.addRecipient(recipient);
    } catch {
      throw new SealedError(
        "bad-recipient",
        `Cannot seal to ${JSON.stringify(recipient.slice(0, 80))}: it is not an age public key`,
        { hint: "a machine's public key begins age1 and stands in its m.bureau.machine_key event" },
      );
    }
  }
  const sealed = (await encrypter.encrypt(JSON.stringify(checked))).toBase64();
  if (sealed.length > MAX_CIPHERTEXT) {
    throw new SealedError(
      "too-large",
      `Cannot seal "bundle": ${sealed.length} bytes do not fit a Matrix event`,
      { hint: `store fewer or shorter credentials; the limit is ${MAX_CIPHERTEXT} bytes` },
    );
  }
  return sealed;
}

/**
 * Opens a bundle. The caller still compares `principal` with whom it asked for.
 * @param sealed base64 of the age file, as in `m.bureau.credentials`
 * @param identity `AGE-SECRET-KEY-1…`
 * @throws {SealedError} `bad-ciphertext`, `wrong-key`, `bad-bundle`, `bad-machine-key`, `too-large`
 */
export async function unsealBundle(
  sealed: string,
  identity: Sensitive,
): Promise<CredentialBundle> {
  if (sealed.length > MAX_CIPHERTEXT) {
    throw new SealedError("too-large", `Cannot unseal "bundle": it is larger than an event`);
  }
  let file: Uint8Array;
  try {
    file = Uint8Array.fromBase64(sealed);
  } catch {
    throw new SealedError("bad-ciphertext", `Cannot unseal "bundle": it is not base64`);
  }
  const { Decrypter } = await age();
  const decrypter = new Decrypter();
  try {
    decrypter.addIdentity(bareIdentity(revealed(identity)));
  } catch (error) {
    if (error instanceof SealedError) throw error;
    throw badKey();
  }
  let plaintext: Uint8Array;
  try {
    plaintext = await decrypter.decrypt(file);
  } catch (error) {
    if (error instanceof Error && /no identity matched/.test(error.message)) {
      throw new SealedError(
        "wrong-key",
        `Cannot unseal "bundle": it was not sealed to this machine's key`,
        {
          hint:
            "seal them to this machine again: `bureau credential reseal`, or `bureau agent destroy NAME`, then `bureau agent create NAME` (`deno task up` for the example agent)",
        },
      );
    }
    throw new SealedError("bad-ciphertext", `Cannot unseal "bundle": the file is damaged`);
  }
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(plaintext));
  } catch {
    throw new SealedError("bad-bundle", `Cannot read "bundle": its plaintext is not JSON`);
  } finally {
    plaintext.fill(0);
  }
  return parseBundle(json);
}

/** Names the fields that are wrong, never what stands in them. */
function parseBundle(json: unknown): CredentialBundle {
  const result = CredentialBundle.safeParse(json);
  if (result.success) return result.data;
  const fields = [...new Set(result.error.issues.map(({ path }) => fieldOf(path)))];
  throw new SealedError(
    "bad-bundle",
    `Cannot read "bundle": missing or wrong ${fields.filter(Boolean).join(", ") || "document"}`,
  );
}

/** Credentials' names come out of the plaintext too, so they read as `*`. */
function fieldOf(path: readonly PropertyKey[]): string {
  return path.map((key, at) => at === 1 && path[0] === "credentials" ? "*" : String(key)).join(".");
}

function bareIdentity(text: string): string {
  const lines = text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  if (lines.length !== 1 || !lines[0]!.startsWith("AGE-SECRET-KEY-1")) throw badKey();
  return lines[0]!;
}

function badKey(): SealedError {
  return new SealedError(
    "bad-machine-key",
    `Cannot use "machine key": it is not an age X25519 private key`,
    { hint: "restore machine-key.txt from a backup; a new key needs every bundle sealed again" },
  );
}
