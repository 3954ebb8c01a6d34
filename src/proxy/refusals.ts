// SPDX-License-Identifier: Apache-2.0

/**
 * Tunnels that no grant allows never reach the egress gate, so the daemon hears of them from here: counted,
 * and told over the watch stream at most once a second.
 */
import { parseAuthority } from "../lib/authority.ts";

export interface TunnelRefusal {
  readonly host: string;
  readonly port: number;
  readonly count: number;
}

/** Destinations that are counted by name between two tellings; others are left out. */
const MAX_NAMED = 32;
const INTERVAL_MS = 1_000;

export class TunnelRefusals {
  readonly #counts = new Map<string, { host: string; port: number; count: number }>();
  #listener: ((refused: readonly TunnelRefusal[]) => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;

  /** @param action as it was refused; only tunnels are counted */
  note(action: string): void {
    const match = /^(?:forward|tunnel)\/([^/]+)\/(\d+)$/.exec(action);
    if (match === null) return;
    const host = match[1]!;
    const target = parseAuthority(
      host.includes(":") ? `[${host}]:${match[2]}` : `${host}:${match[2]}`,
    );
    if (target === null) return;
    const known = this.#counts.get(action);
    if (known !== undefined) known.count++;
    else if (this.#counts.size < MAX_NAMED) this.#counts.set(action, { ...target, count: 1 });
    this.#tellSoon();
  }

  /** One listener, the newest. @returns the unsubscriber */
  listen(listener: (refused: readonly TunnelRefusal[]) => void): () => void {
    this.#listener = listener;
    if (this.#counts.size > 0) this.#tell();
    return () => {
      if (this.#listener !== listener) return;
      this.#listener = null;
      if (this.#timer !== null) clearTimeout(this.#timer);
      this.#timer = null;
    };
  }

  /** The first at once; what follows within the interval is collected. */
  #tellSoon(): void {
    if (this.#listener === null || this.#timer !== null) return;
    this.#tell();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#counts.size > 0) this.#tellSoon();
    }, INTERVAL_MS);
  }

  #tell(): void {
    const refused = [...this.#counts.values()];
    this.#counts.clear();
    this.#listener?.(refused);
  }
}
