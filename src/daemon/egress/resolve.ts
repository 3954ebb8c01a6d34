// SPDX-License-Identifier: Apache-2.0
import { isLocalhost } from "./policy.ts";
import { parseAddress } from "./addresses.ts";

/** Addresses of a name, in the order to be tried. Throws when it has none. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<string[]>;

/**
 * Asks DNS, once for IPv4 and once for IPv6. Literals are their own answer. `localhost` never reaches a
 * DNS server, which could answer anything.
 */
export const resolveHost: Resolve = async (host, signal) => {
  if (parseAddress(host) !== null) return [host];
  if (isLocalhost(host)) return ["127.0.0.1", "::1"];
  const answers = await Promise.allSettled([
    // The trailing dot keeps a search list from turning the name into another one.
    Deno.resolveDns(`${host}.`, "A", { signal }),
    Deno.resolveDns(`${host}.`, "AAAA", { signal }),
  ]);
  const found = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value : []);
  if (found.length === 0) {
    const failed = answers.find((answer) => answer.status === "rejected");
    throw failed === undefined ? new Deno.errors.NotFound("no address") : failed.reason;
  }
  return found;
};
