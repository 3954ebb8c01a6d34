// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../errors.ts";

/** What is shown in a secret's place, wherever somebody prints it. */
export const REDACTED = "[redacted]";

/**
 * Some bytes that only `bytes` and `reveal()` give. They are zeroed on `close()`, at the end of a `using` block at the
 * latest. A string can't be zeroed: one that `reveal()` gave is the garbage collector's, so it is asked for in the very
 * call that needs a string, and kept nowhere.
 *
 * ```ts
 * using token = Secret.fromBytes(await Deno.readFile(path));
 * decrypter.addIdentity(token.reveal());
 * ```
 */
export class Secret implements Disposable {
  #bytes: Uint8Array<ArrayBuffer> | null;

  private constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.#bytes = bytes;
  }

  /** @param bytes are its own from now on, and zeroed with it */
  static fromBytes(bytes: Uint8Array<ArrayBuffer>): Secret {
    return new Secret(bytes);
  }

  /** For what comes as a string from elsewhere; the string itself stays what it is. */
  static fromText(text: string): Secret {
    return new Secret(new TextEncoder().encode(text));
  }

  /** For an interface that takes bytes; not to be kept. @throws {BureauError} `secret-closed` */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#bytes !== null) return this.#bytes;
    throw new BureauError("secret-closed", "Cannot use a secret: it was closed", { status: 500 });
  }

  /** As a string, for the one call that needs it. @throws {BureauError} `secret-closed` */
  reveal(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** Zeroes it. Idempotent. */
  close(): void {
    this.#bytes?.fill(0);
    this.#bytes = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  get [Symbol.toStringTag](): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [Symbol.for("Deno.customInspect")](): string {
    return REDACTED;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return REDACTED;
  }
}

/** A secret, or a string that one was read as: what cryptography takes. */
export type Sensitive = Secret | string;

/** The string, in the very call that needs it. */
export function revealed(secret: Sensitive): string {
  return typeof secret === "string" ? secret : secret.reveal();
}

/** The bytes, not to be kept. */
export function secretBytes(secret: Sensitive): Uint8Array<ArrayBuffer> {
  return typeof secret === "string" ? new TextEncoder().encode(secret) : secret.bytes;
}
