// SPDX-License-Identifier: Apache-2.0

/**
 * Reads the server name out of a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3), so that a tunnel that
 * was opened for one name is used for that name. Never decrypts anything.
 */

/** A hello may come in several records; more than this none needs (post-quantum keys take 2 KB). */
export const MAX_HELLO_BYTES = 32 * 1024;

export type ClientHello =
  | { readonly state: "more" }
  /** It is no TLS, or not well-formed. */
  | { readonly state: "bad"; readonly why: string }
  /** Lower case without a trailing dot; null: the hello names nobody. */
  | { readonly state: "ok"; readonly serverName: string | null };

const bad = (why: string): ClientHello => ({ state: "bad", why });

/** Reads what has arrived so far. Pure: the same bytes give the same answer however they were cut. */
export function parseClientHello(bytes: Uint8Array): ClientHello {
  const message = handshakeMessage(bytes);
  if (!(message instanceof Uint8Array)) return message;
  try {
    return { state: "ok", serverName: serverNameOf(new Reader(message)) };
  } catch (thrown) {
    if (thrown instanceof RangeError) return bad("its ClientHello is malformed");
    throw thrown;
  }
}

/** The first handshake message, put together from its records, without its own header. */
function handshakeMessage(bytes: Uint8Array): Uint8Array | ClientHello {
  const parts: number[] = [];
  let at = 0;
  while (true) {
    if (bytes.length > at && bytes[at] !== 22) return bad("it does not begin as TLS does");
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return bad("it does not begin as TLS does");
    if (bytes.length < at + 5) return bytes.length > MAX_HELLO_BYTES ? tooLong() : more();
    const length = bytes[at + 3]! << 8 | bytes[at + 4]!;
    if (length === 0 || length > 16_384) return bad("a TLS record has an impossible length");
    parts.push(...bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
    if (parts.length >= 1 && parts[0] !== 1) return bad("its first message is no ClientHello");
    if (parts.length >= 4) {
      const wanted = parts[1]! << 16 | parts[2]! << 8 | parts[3]!;
      if (wanted > MAX_HELLO_BYTES) return tooLong();
      if (parts.length >= 4 + wanted) return Uint8Array.from(parts.slice(4, 4 + wanted));
    }
    if (at >= bytes.length) return bytes.length > MAX_HELLO_BYTES ? tooLong() : more();
  }
}

const more = (): ClientHello => ({ state: "more" });
const tooLong = () => bad(`its ClientHello is longer than ${MAX_HELLO_BYTES} bytes`);

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  number(size: number): number {
    return this.take(size).reduce((value, byte) => value * 256 + byte, 0);
  }
  take(size: number): Uint8Array {
    if (size > this.left) throw new RangeError("too short");
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }
  /** A vector whose length stands before it in `size` bytes. */
  vector(size: number): Reader {
    return new Reader(this.take(this.number(size)));
  }
}

const SERVER_NAME = 0;

function serverNameOf(hello: Reader): string | null {
  hello.take(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.left === 0) return null;
  const extensions = hello.vector(2);
  let found: string | null = null;
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (type !== SERVER_NAME) continue;
    // Two of them, or two names in one, would let the server read another than we do.
    if (found !== null) throw new RangeError("two server names");
    const names = body.vector(2);
    if (names.number(1) !== 0) throw new RangeError("an unknown kind of name");
    const name = names.take(names.number(2));
    if (names.left > 0 || body.left > 0 || name.length === 0) throw new RangeError("two names");
    found = String.fromCharCode(...name);
    if (!/^[A-Za-z0-9._-]+$/.test(found)) throw new RangeError("not a host name");
  }
  return found === null ? null : found.toLowerCase().replace(/\.$/, "");
}
