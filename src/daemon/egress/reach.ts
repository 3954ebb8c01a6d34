// SPDX-License-Identifier: Apache-2.0

/** From a name to a connection: resolved once, and connected to the very address that the policy saw. */
import { authorityOf, type Target } from "../../lib/authority.ts";
import { messageOf } from "../../lib/errors.ts";
import { parseAddress } from "./addresses.ts";
import { type Dial, dialTcp, raceConnect } from "./eyeballs.ts";
import { NameCache } from "./name_cache.ts";
import type { DestinationPolicy } from "./policy.ts";
import type { Refusal } from "./refusal.ts";
import { lookupHost, type Resolve } from "./resolve.ts";
import { Slots } from "./slots.ts";

export interface ReachOptions {
  readonly resolve?: Resolve;
  readonly dial?: Dial;
  /** How long resolving and connecting may take together: 10 s. */
  readonly connectDeadlineMs?: number;
  /** Connections that are being made at once; further callers wait for their turn: 32. */
  readonly maxConnecting?: number;
}

export interface Reached {
  readonly target: Target;
  readonly address: Uint8Array;
  readonly upstream: Deno.TcpConn;
}

/** For gates that nobody gave a resolver: what one asked, the next need not ask. */
const names = new NameCache({ lookup: lookupHost });

export class Reach {
  readonly #options: ReachOptions;
  readonly #connecting: Slots;

  constructor(options: ReachOptions) {
    this.#options = options;
    this.#connecting = new Slots(options.maxConnecting ?? 32);
  }

  /**
   * Resolves and connects, within the deadline, as one of the few that do so at once.
   * @param policy as it is when the name has been resolved
   */
  async reach(target: Target, policy: () => DestinationPolicy): Promise<Reached | Refusal> {
    const where = authorityOf(target);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), this.#options.connectDeadlineMs ?? 10_000);
    const { signal } = deadline;
    if (!await this.#connecting.enter(signal)) {
      clearTimeout(timer);
      return {
        status: 503,
        code: "egress-busy",
        message: `Cannot connect to "${where}": too many connections are being made already`,
      };
    }
    try {
      const addresses = await (this.#options.resolve ?? names.resolve)(target.host, signal);
      return await this.#connect(target, addresses, policy(), signal);
    } catch (thrown) {
      const why = signal.aborted ? "no answer in time" : messageOf(thrown);
      return {
        status: 502,
        code: "egress-unresolved",
        message: `Cannot connect to "${where}": its name does not resolve (${why})`,
        hint: "check the name, and this machine's DNS",
      };
    } finally {
      clearTimeout(timer);
      this.#connecting.leave();
    }
  }

  /** Tries what may be connected to; nothing is resolved a second time, so a name can't be rebound. */
  async #connect(
    target: Target,
    addresses: readonly string[],
    policy: DestinationPolicy,
    signal: AbortSignal,
  ): Promise<Reached | Refusal> {
    const where = authorityOf(target);
    let refused: string | null = null;
    let failed: string | null = null;
    const allowed = addresses.filter((text) => {
      const address = parseAddress(text);
      // What the resolver said isn't an address in our reading is not connected to.
      const special = address === null ? "unreadable" : policy.refusal(target, address);
      if (special !== null) refused ??= `${text} is ${special}`;
      return special === null;
    });
    if (allowed.length > 0) {
      try {
        const dial = this.#options.dial ?? dialTcp;
        const won = await raceConnect(allowed, target.port, { dial, signal });
        return { target, address: parseAddress(won.address)!, upstream: won.connection };
      } catch (thrown) {
        failed = signal.aborted ? "no answer in time" : messageOf(thrown);
      }
    }
    if (failed === null && refused !== null) {
      return {
        status: 403,
        code: "egress-refused-address",
        message: `Cannot connect to "${where}": ${refused}`,
        hint: "a private address must be named itself in egress.allow, as address:port",
      };
    }
    return {
      status: 502,
      code: "egress-unreachable",
      message: `Cannot connect to "${where}": ${failed ?? "its name has no address"}`,
    };
  }
}
