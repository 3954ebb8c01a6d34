// SPDX-License-Identifier: Apache-2.0

/** TLS for the local network: a phone is told to trust the page's own authority, and trusts this one page by it. */
import { addressBytes, makeSelfMade } from "../../lib/certificate/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Lan } from "./store.ts";

/** An address that is neither loopback nor a name: what a phone in the same network can reach. */
export function isLanAddress(text: string): boolean {
  const bytes = addressBytes(text);
  if (bytes === null || (bytes.length !== 4 && bytes.length !== 16)) return false;
  if (bytes.length === 4) {
    return bytes.every((byte) => byte <= 255) && text.split(".").every((part) =>
      Number(part) < 256
    ) &&
      bytes[0] !== 127 && bytes[0] !== 0 && bytes[0]! < 224;
  }
  return bytes.some((byte) => byte !== 0) && !(bytes.subarray(0, 15).every((byte) => byte === 0));
}

export async function makeLan(address: string, port: number, clock: Clock): Promise<Lan> {
  return { address, port, ...await makeSelfMade(address, clock) };
}
