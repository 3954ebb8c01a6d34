// SPDX-License-Identifier: Apache-2.0

/** One principal's list of destinations, read once; a malformed entry matches nothing (rule 8). */
import { isLoopback, parseAddress, sameAddress, specialUse } from "./addresses.ts";
import { isHostName, parseAuthority, type Target } from "../../lib/authority.ts";

interface Exact {
  readonly kind: "host";
  readonly host: string;
  readonly port: number;
  readonly text: string;
}
interface Suffix {
  readonly kind: "suffix";
  /** Begins with a dot. */
  readonly suffix: string;
  readonly port: number;
  readonly text: string;
}
interface Address {
  readonly kind: "address";
  readonly address: Uint8Array;
  readonly port: number;
  readonly text: string;
}
type Entry = Exact | Suffix | Address;

export interface Rule {
  /** The entry as written, for the log. */
  readonly text: string;
}

export class DestinationPolicy {
  readonly #entries: readonly Entry[];
  /** Entries that could not be read. */
  readonly malformed: readonly string[];

  constructor(allow: readonly string[]) {
    const malformed: string[] = [];
    this.#entries = allow.flatMap((text) => {
      const entry = parseEntry(text);
      if (entry === null) malformed.push(text);
      return entry === null ? [] : [entry];
    });
    this.malformed = malformed;
  }

  /** The rule that lets this destination be asked for, or null. */
  match(target: Target): Rule | null {
    const address = parseAddress(target.host);
    return this.#entries.find((entry) => {
      if (entry.port !== target.port) return false;
      switch (entry.kind) {
        case "address":
          return address !== null && sameAddress(entry.address, address);
        case "host":
          return address === null && entry.host === target.host;
        case "suffix":
          return address === null && target.host.endsWith(entry.suffix);
      }
    }) ?? null;
  }

  /**
   * Why this address may not be connected to, or null. Naming a host says nothing about where its name
   * leads: whoever answers for the name could point it at this machine (rebinding). So a private address
   * must be named itself; `localhost`, which nobody answers for, names loopback.
   */
  refusal(target: Target, address: Uint8Array): string | null {
    const special = specialUse(address);
    if (special === null) return null;
    const named = this.#entries.some((entry) =>
      entry.port === target.port && entry.kind === "address" && sameAddress(entry.address, address)
    );
    if (named || (isLocalhost(target.host) && isLoopback(address))) return null;
    return special;
  }
}

/** RFC 6761: names that always mean this machine. They are matched like any other name. */
export function isLocalhost(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

function parseEntry(text: string): Entry | null {
  if (text.startsWith("*.")) {
    const rest = parseAuthority(text.slice(2));
    // An address has no subdomains, and `*.com` would be most of the Internet by a slip.
    if (rest === null || parseAddress(rest.host) !== null || !rest.host.includes(".")) return null;
    return { kind: "suffix", suffix: `.${rest.host}`, port: rest.port, text };
  }
  const target = parseAuthority(text);
  if (target === null) return null;
  const address = parseAddress(target.host);
  if (address !== null) return { kind: "address", address, port: target.port, text };
  return isHostName(target.host)
    ? { kind: "host", host: target.host, port: target.port, text }
    : null;
}
