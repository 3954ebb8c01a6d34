// SPDX-License-Identifier: Apache-2.0

/** What one principal sent where: totals, and the destinations that matter by name. */
import type { Transferred } from "../../lib/duplex.ts";

export interface HostUsage extends Transferred {
  allowed: number;
  refused: number;
}

export interface EgressUsage extends HostUsage {
  /** Tunnels that stand. */
  active: number;
  /** By `host:port`; at most `MAX_HOSTS`, and what was forgotten is under `other`. */
  hosts: Record<string, HostUsage>;
  other: HostUsage;
}

/** An agent chooses the names it asks for, so they can't be kept without a bound. */
const MAX_HOSTS = 64;

const none = (): HostUsage => ({ allowed: 0, refused: 0, up: 0, down: 0 });

export function emptyUsage(): EgressUsage {
  return { ...none(), active: 0, hosts: {}, other: none() };
}

function addTo(into: HostUsage, from: Partial<HostUsage>): void {
  into.allowed += from.allowed ?? 0;
  into.refused += from.refused ?? 0;
  into.up += from.up ?? 0;
  into.down += from.down ?? 0;
}

/** @returns the sum, as when a gate begins anew and what it counted before must not be lost */
export function sumUsage(a: EgressUsage, b: EgressUsage): EgressUsage {
  const count = new UsageCount();
  count.take(a);
  count.take(b);
  return { ...count.withRunning([]), active: a.active + b.active };
}

export class UsageCount {
  readonly #total = none();
  readonly #other = none();
  readonly #hosts = new Map<string, HostUsage>();

  allow(host: string): void {
    this.#count(host, { allowed: 1 });
  }

  /** @param host null: it could not be read */
  refuse(host: string | null): void {
    if (host !== null) return this.#count(host, { refused: 1 });
    addTo(this.#total, { refused: 1 });
    addTo(this.#other, { refused: 1 });
  }

  add(host: string, { up, down }: Transferred): void {
    this.#count(host, { up, down });
  }

  take(usage: EgressUsage): void {
    for (const [host, counts] of Object.entries(usage.hosts)) this.#count(host, counts);
    addTo(this.#total, usage.other);
    addTo(this.#other, usage.other);
  }

  #count(host: string, counts: Partial<HostUsage>): void {
    addTo(this.#total, counts);
    let known = this.#hosts.get(host);
    if (known === undefined) {
      if (this.#hosts.size >= MAX_HOSTS) this.#forgetLeast();
      known = none();
      this.#hosts.set(host, known);
    }
    addTo(known, counts);
  }

  /** What was only refused goes first, then what moved the fewest bytes. */
  #forgetLeast(): void {
    let least: [string, HostUsage] | null = null;
    for (const entry of this.#hosts) {
      if (least === null || weight(entry[1]) < weight(least[1])) least = entry;
    }
    if (least === null) return;
    this.#hosts.delete(least[0]);
    addTo(this.#other, least[1]);
  }

  withRunning(running: readonly (readonly [string, Transferred])[]): EgressUsage {
    const usage: EgressUsage = {
      ...this.#total,
      active: running.length,
      hosts: Object.fromEntries([...this.#hosts].map(([host, counts]) => [host, { ...counts }])),
      other: { ...this.#other },
    };
    for (const [host, transferred] of running) {
      addTo(usage, transferred);
      addTo(Object.hasOwn(usage.hosts, host) ? usage.hosts[host]! : usage.other, transferred);
    }
    return usage;
  }
}

function weight({ allowed, up, down }: HostUsage): number {
  return allowed * 1024 + up + down;
}
