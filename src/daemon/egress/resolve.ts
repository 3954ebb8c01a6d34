// SPDX-License-Identifier: Apache-2.0

/** Names to addresses, by this machine's own configuration. */
import { lookup, Resolver } from "node:dns/promises";
import { isLocalhost } from "./policy.ts";
import { parseAddress } from "./addresses.ts";

/** Addresses of a name. Throws when it has none. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<string[]>;

export interface Answer {
  readonly addresses: readonly string[];
  /** How long it may be used again. */
  readonly ttlMs: number;
}

/** One question, whose answer may be shared. Ends by itself. Throws when there is no address. */
export type Lookup = (host: string) => Promise<Answer>;

/** What comes without a TTL: the system's own lookup. */
const UNTOLD_TTL_MS = 30_000;

/**
 * Asks DNS, once for IPv4 and once for IPv6. Literals are their own answer. `localhost` never reaches a
 * DNS server, which could answer anything. A name of one label is a matter of this machine (its hosts file,
 * its search list), so the system's own lookup answers it.
 */
export const lookupHost: Lookup = async (host) => {
  if (parseAddress(host) !== null) return { addresses: [host], ttlMs: Infinity };
  if (isLocalhost(host)) return { addresses: ["127.0.0.1", "::1"], ttlMs: Infinity };
  if (!host.includes(".")) return await askSystem(host);
  return await askDns(host, new Resolver());
};

async function askSystem(host: string): Promise<Answer> {
  const found = await lookup(host, { all: true });
  return { addresses: found.map(({ address }) => address), ttlMs: UNTOLD_TTL_MS };
}

/** `Deno.resolveDns` tells no TTL, `node:dns` does. */
export async function askDns(
  host: string,
  resolver: Pick<Resolver, "resolve4" | "resolve6">,
): Promise<Answer> {
  // The trailing dot keeps a search list from turning the name into another one.
  const name = `${host}.`;
  const answers = await Promise.allSettled([
    resolver.resolve6(name, { ttl: true }),
    resolver.resolve4(name, { ttl: true }),
  ]);
  const found = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value : []);
  if (found.length === 0) {
    const failed = answers.find((answer) => answer.status === "rejected");
    throw failed === undefined ? new Deno.errors.NotFound("no address") : failed.reason;
  }
  // Where one family failed for another reason than having none, the answer is half of one.
  const isHalf = answers.some((answer) => answer.status === "rejected" && !hasNone(answer.reason));
  const ttl = Math.min(...found.map((record) => record.ttl));
  return { addresses: found.map((record) => record.address), ttlMs: isHalf ? 0 : ttl * 1000 };
}

function hasNone(thrown: unknown): boolean {
  const code = (thrown as { code?: unknown } | null)?.code;
  return code === "ENOTFOUND" || code === "ENODATA";
}
