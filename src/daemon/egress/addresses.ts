// SPDX-License-Identifier: Apache-2.0

/** Which addresses lead to the Internet and which lead back into this machine or its network. */

/** 4 or 16 bytes; null when `text` is no address. */
export function parseAddress(text: string): Uint8Array | null {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): Uint8Array | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [at, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[at] = Number(part);
  }
  return bytes;
}

function parseV6(text: string): Uint8Array | null {
  let source = text.toLowerCase();
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(source);
  if (tail !== null) {
    const v4 = parseV4(tail[2]!);
    if (v4 === null) return null;
    const word = (at: number) => ((v4[at]! << 8) | v4[at + 1]!).toString(16);
    source = `${tail[1]}${word(0)}:${word(2)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return null;
  const words = (half: string | undefined) =>
    half === undefined || half === "" ? [] : half.split(":");
  const head = words(halves[0]);
  const rest = words(halves[1]);
  const missing = 8 - head.length - rest.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...head, ...new Array<string>(Math.max(0, missing)).fill("0"), ...rest];
  const bytes = new Uint8Array(16);
  for (const [at, word] of all.entries()) {
    if (!/^[0-9a-f]{1,4}$/.test(word)) return null;
    const value = parseInt(word, 16);
    bytes[at * 2] = value >> 8;
    bytes[at * 2 + 1] = value & 255;
  }
  return bytes;
}

/** [first bytes, prefix length, what it is]. IANA special-purpose registries, plus cloud metadata. */
const V4: readonly [readonly number[], number, string][] = [
  [[0], 8, "this host"],
  [[10], 8, "private"],
  [[100, 64], 10, "carrier-grade NAT"],
  [[127], 8, "loopback"],
  [[169, 254], 16, "link-local or cloud metadata"],
  [[172, 16], 12, "private"],
  [[192, 0, 0], 24, "reserved"],
  [[192, 0, 2], 24, "documentation"],
  [[192, 88, 99], 24, "6to4 relay"],
  [[192, 168], 16, "private"],
  [[198, 18], 15, "benchmarking"],
  [[198, 51, 100], 24, "documentation"],
  [[203, 0, 113], 24, "documentation"],
  [[224], 4, "multicast"],
  [[240], 4, "reserved or broadcast"],
  // Azure's metadata and DNS service sits on a public address.
  [[168, 63, 129, 16], 32, "cloud metadata"],
];

const V6: readonly [readonly number[], number, string][] = [
  [[0x20, 0x01, 0x0d, 0xb8], 32, "documentation"],
  // Tunnels: an IPv4 address of any kind is inside.
  [[0x20, 0x01, 0x00], 23, "special purpose (Teredo, ORCHID)"],
  [[0x20, 0x02], 16, "6to4"],
  [[0x3f, 0xff, 0x00], 20, "documentation"],
];

/**
 * Why an address is refused unless it is named, or null when it is an ordinary public one.
 * @param address 4 or 16 bytes
 */
export function specialUse(address: Uint8Array): string | null {
  if (address.length === 4) return inRanges(address, V4);
  // Only global unicast (2000::/3) leads out: ::1, v4-mapped, NAT64, ULA, link-local and multicast don't.
  if ((address[0]! & 0xe0) !== 0x20) return nameOfInnerV6(address);
  return inRanges(address, V6);
}

function nameOfInnerV6(address: Uint8Array): string {
  const [a, b] = [address[0]!, address[1]!];
  if (a === 0xff) return "multicast";
  if ((a & 0xfe) === 0xfc) return "unique local";
  if (a === 0xfe && (b & 0xc0) === 0x80) return "link-local";
  const leading = address.findIndex((byte) => byte !== 0);
  if (leading === 15 && address[15] === 1) return "loopback";
  if (leading === 10 && a === 0) return "IPv4-mapped";
  return "not a global unicast address";
}

function inRanges(
  address: Uint8Array,
  ranges: readonly [readonly number[], number, string][],
): string | null {
  for (const [prefix, bits, name] of ranges) if (hasPrefix(address, prefix, bits)) return name;
  return null;
}

function hasPrefix(address: Uint8Array, prefix: readonly number[], bits: number): boolean {
  for (let at = 0; at * 8 < bits; at++) {
    const left = Math.min(8, bits - at * 8);
    const mask = (0xff << (8 - left)) & 0xff;
    if ((address[at]! & mask) !== ((prefix[at] ?? 0) & mask)) return false;
  }
  return true;
}

export function isLoopback(address: Uint8Array): boolean {
  return address.length === 4
    ? address[0] === 127
    : address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

/** One spelling for one address, so that a policy's `[::1]:80` meets a caller's `[0:0::1]:80`. */
export function sameAddress(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
