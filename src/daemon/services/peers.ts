// SPDX-License-Identifier: Apache-2.0

/** The fleet's machines to each other: keys, and where they are reached. */
import type { Clock } from "../../lib/clock.ts";
import type { TokenKey, TrustedKey } from "../../lib/token/mod.ts";
import { DaemonError } from "../errors.ts";
import type { PeerDirectory } from "../peer/peers.ts";
import type { PeerPlace } from "../peer/tls.ts";
import type { Announcements } from "./announcements.ts";
import { type DirectoryContext, peerPlaceOf, publishedTrust } from "./directory.ts";
import type { SigningKeys } from "./keys.ts";

/** How long somebody waits for this machine's first key to be published. */
const PUBLISH_MS = 15_000;
const LOOK_MS = 250;

export interface FleetPeersOptions {
  readonly context: DirectoryContext;
  readonly announcements: Announcements;
  readonly keys: SigningKeys;
  /** Keys are wanted from now on, also without services. */
  readonly need: () => void;
  readonly isSynced: () => boolean;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class FleetPeers implements PeerDirectory {
  readonly #options: FleetPeersOptions;
  #place: { addresses: string[]; certificate: string } | null = null;

  constructor(options: FleetPeersOptions) {
    this.#options = options;
  }

  /** @throws {DaemonError} `peer-key` */
  async peerKey(): Promise<TokenKey> {
    const { announcements, keys, need, isSynced, clock, signal } = this.#options;
    const deadline = clock.now() + PUBLISH_MS;
    while (!signal.aborted) {
      if (isSynced()) {
        const { signs } = await keys.at(clock.now());
        if (announcements.isPublished(signs.publicKey)) return signs;
        need();
      }
      if (clock.now() > deadline) break;
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
    throw new DaemonError(
      "peer-key",
      "Cannot ask another machine: the fleet does not know this machine's key yet",
      { status: 503, hint: "`bureau status` shows whether the homeserver answers" },
    );
  }

  /** Of every machine that is of the fleet now. */
  publishedKeys(): readonly TrustedKey[] {
    const { context, announcements } = this.#options;
    return publishedTrust(context, announcements.systemRoom).keys;
  }

  placeOf(machine: string): PeerPlace | null {
    const { context, announcements } = this.#options;
    return peerPlaceOf(context, announcements.systemRoom, machine);
  }

  announcePeer({ addresses, certificate }: PeerPlace): void {
    this.#place = { addresses: [...addresses], certificate };
    this.#options.need();
  }

  /** What this machine says of itself. */
  get announced(): { peer?: { addresses: string[]; certificate: string } } {
    return this.#place === null ? {} : { peer: this.#place };
  }
}
