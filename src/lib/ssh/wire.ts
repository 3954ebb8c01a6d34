// SPDX-License-Identifier: Apache-2.0

/** The data types of the SSH protocols (RFC 4251 §5), read from and written to bytes. */
import { concatBytes } from "../bytes.ts";

/** The bytes end too early, or hold what they must not. */
export class SshFormatError extends Error {
  override readonly name = "SshFormatError";
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads in order; every method throws {@link SshFormatError} where the bytes end too early. */
export class SshReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Uint8Array {
    if (length > this.remaining) throw new SshFormatError("the bytes end too early");
    return this.#bytes.subarray(this.#at, this.#at += length);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  uint32(): number {
    const [a, b, c, d] = this.take(4) as unknown as [number, number, number, number];
    return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  }

  string(): Uint8Array {
    return this.take(this.uint32());
  }

  /** @throws {SshFormatError} also where it is not UTF-8 */
  text(): string {
    try {
      return decoder.decode(this.string());
    } catch (thrown) {
      throw thrown instanceof SshFormatError ? thrown : new SshFormatError("a name is not UTF-8");
    }
  }

  /** A number without the zero byte that keeps it positive. @throws {SshFormatError} when negative */
  mpint(): Uint8Array {
    const bytes = this.string();
    if (bytes.length > 0 && bytes[0]! >= 0x80) throw new SshFormatError("a number is negative");
    let first = 0;
    while (first < bytes.length && bytes[first] === 0) first++;
    return bytes.subarray(first);
  }
}

export function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** A `string`: its length, then its bytes. */
export function sshString(value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return concatBytes([uint32(bytes.length), bytes]);
}

/** An `mpint` of an unsigned number in big-endian bytes. */
export function sshMpint(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (first < bytes.length && bytes[first] === 0) first++;
  const bare = bytes.subarray(first);
  return sshString(
    bare.length > 0 && bare[0]! >= 0x80 ? concatBytes([Uint8Array.of(0), bare]) : bare,
  );
}
