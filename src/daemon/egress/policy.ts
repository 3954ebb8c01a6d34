// SPDX-License-Identifier: Apache-2.0

/** One principal's list of destinations, read once; a malformed entry matches nothing (rule 8). */
import { isLoopback, parseAddress, sameAddress, specialUse } from "./addresses.ts";
import { askPattern, isHostName, parseAuthority, type Target } from "../../lib/authority.ts";

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
  readonly #denied: readonly Entry[];
  /** Entries that could not be read. */
  readonly malformed: readonly string[];
  readonly #malformedDenial: string | undefined;
  readonly #asked: readonly ((target: Target) => boolean)[];

  constructor(
    allow: readonly string[],
    deny: readonly string[] = [],
    ask: readonly string[] = [],
  ) {
    const malformed: string[] = [];
    const read = (list: readonly string[]) =>
      list.flatMap((text) => {
        const entry = parseEntry(text);
        if (entry === null) malformed.push(text);
        return entry === null ? [] : [entry];
      });
    this.#denied = read(deny);
    this.#malformedDenial = malformed[0];
    this.#entries = read(allow);
    this.#asked = ask.flatMap((text) => {
      const pattern = askPattern(text);
      if (pattern === null) malformed.push(text);
      return pattern === null ? [] : [pattern];
    });
    this.malformed = malformed;
  }

  /** The rule that lets this destination be asked for, or null. */
  match(target: Target): Rule | null {
    const address = parseAddress(target.host);
    return this.#entries.find((entry) => matches(entry, target, address)) ?? null;
  }

  /** Whether a person is asked where neither list decides. */
  asks(target: Target): boolean {
    return this.#asked.some((matches) => matches(target));
  }

  /** The rule that refuses this destination before any other is looked at, or null. */
  denied(target: Target): Rule | null {
    if (this.#malformedDenial !== undefined) return { text: this.#malformedDenial };
    const address = parseAddress(target.host);
    return this.#denied.find((entry) => matches(entry, target, address)) ?? null;
  }

  /**
   * Why this address may not be connected to, or null. Naming a host says nothing about where its name
   * leads: whoever answers for the name could point it at this machine (rebinding). So a private address
   * must be named itself; `localhost`, which nobody answers for, names loopback.
   */
  refusal(target: Target, address: Uint8Array): string | null {
    const denied = this.#denied.find((entry) =>
      entry.port === target.port && entry.kind === "address" && sameAddress(entry.address, address)
    );
    // A name that leads to a denied address is that address.
    if (denied !== undefined) return "denied";
    const special = specialUse(address);
    if (special === null) return null;
    const named = this.#entries.some((entry) =>
      entry.port === target.port && entry.kind === "address" && sameAddress(entry.address, address)
    );
    if (named || (isLocalhost(target.host) && isLoopback(address))) return null;
    return special;
  }
}

function matches(entry: Entry, target: Target, address: Uint8Array | null): boolean {
  if (entry.port !== target.port) return false;
  switch (entry.kind) {
    case "address":
      return address !== null && sameAddress(entry.address, address);
    case "host":
      return address === null && entry.host === target.host;
    case "suffix":
      return address === null && target.host.endsWith(entry.suffix);
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
