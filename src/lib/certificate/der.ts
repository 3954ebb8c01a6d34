// SPDX-License-Identifier: Apache-2.0

/** Writes the few forms of DER (ITU-T X.690) that a certificate is made of. Reads nothing. */
import { concatBytes } from "../bytes.ts";

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element: tag, length, content. */
export function element(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  return concatBytes([Uint8Array.of(tag, ...lengthBytes(length)), ...content]);
}

function lengthBytes(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [0x80 | bytes.length, ...bytes];
}

export const sequence = (...parts: readonly Uint8Array[]) => element(TAG.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]) => element(TAG.set, ...parts);
export const octetString = (bytes: Uint8Array) => element(TAG.octetString, bytes);
export const utf8 = (text: string) => element(TAG.utf8, new TextEncoder().encode(text));
export const yes = () => element(TAG.boolean, Uint8Array.of(0xff));

/** `[number] EXPLICIT`, or a primitive IMPLICIT one. */
export const explicit = (number: number, ...parts: readonly Uint8Array[]) =>
  element(0xa0 | number, ...parts);
export const implicit = (number: number, bytes: Uint8Array) => element(0x80 | number, bytes);

/** @param unused bits at the end of the last byte that count for nothing */
export const bitString = (bytes: Uint8Array, unused = 0) =>
  element(TAG.bitString, Uint8Array.of(unused), bytes);

/** A number that is not negative, big-endian: no needless zeros before it, and one where it would look negative. */
export function integer(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const digits = bytes.subarray(start);
  return digits[0]! >= 0x80
    ? element(TAG.integer, Uint8Array.of(0), digits)
    : element(TAG.integer, digits);
}

export function oid(dotted: string): Uint8Array {
  const [first, second, ...rest] = dotted.split(".").map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f));
    bytes.push(...digits);
  }
  return element(TAG.oid, Uint8Array.from(bytes));
}

/** `YYMMDDHHMMSSZ`: for the years 1950 to 2049 (RFC 5280 §4.1.2.5.1). */
export function utcTime(ms: number): Uint8Array {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "").slice(2);
  return element(TAG.utcTime, new TextEncoder().encode(text));
}

/** @param label as in `CERTIFICATE` */
export function pem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
