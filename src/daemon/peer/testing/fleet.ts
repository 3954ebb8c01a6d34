// SPDX-License-Identifier: Apache-2.0

/** Two machines of a fleet and its operator, for tests: real keys, real TLS, no homeserver. */
import { systemClock } from "../../../lib/clock.ts";
import { createLogger } from "../../../lib/log.ts";
import { generateSigningKey, signContent, type SigningKey } from "../../../lib/signature/mod.ts";
import {
  generateTokenKey,
  type TokenKey,
  tokenKeyId,
  type TrustedKey,
} from "../../../lib/token/mod.ts";
import type { DaemonBootstrap } from "../../api.ts";
import { type Warrant, WARRANT_MS } from "../api.ts";
import { type PeerDirectory, Peers } from "../peers.ts";
import type { PeerPlace } from "../tls.ts";

export const FLEET = "bureau/fleet/dev";
export const HERE = `@${FLEET}/machine/here:bureau.local`;
export const THERE = `@${FLEET}/machine/there:bureau.local`;
export const OPERATOR = "@operator:bureau.local";

export function trusted(key: TokenKey, machine: string): TrustedKey {
  return { id: tokenKeyId(key.publicKey), machine, public_key: key.publicKey };
}

export async function warrantOf(
  key: SigningKey,
  changes: Partial<Omit<Warrant, "signature">> = {},
): Promise<Record<string, unknown>> {
  const now = Date.now();
  return await signContent({
    ...{ kind: "bureau-warrant", version: 1, subject: OPERATOR, via: HERE, machine: THERE },
    ...{ path: "/v1/principals", mode: "readonly" },
    nonce: crypto.getRandomValues(new Uint8Array(16)).toHex(),
    issued_at: now,
    expires_at: now + WARRANT_MS,
    ...changes,
  }, key);
}

/** What the fleet's rooms would say. */
export class Fleet implements AsyncDisposable {
  readonly keys = new Map<string, TokenKey>();
  readonly places = new Map<string, PeerPlace>();
  readonly #stop = new AbortController();

  private constructor(readonly dir: string, readonly operator: SigningKey) {}

  static async make(): Promise<Fleet> {
    const dir = await Deno.makeTempDir({ prefix: "b-p-" });
    const fleet = new Fleet(dir, await generateSigningKey());
    for (const machine of [HERE, THERE]) fleet.keys.set(machine, await generateTokenKey());
    return fleet;
  }

  directory(machine: string, own = this.keys.get(machine)!): PeerDirectory {
    return {
      peerKey: () => Promise.resolve(own),
      publishedKeys: () => [...this.keys].map(([of, key]) => trusted(key, of)),
      placeOf: (of) => this.places.get(of) ?? null,
      announcePeer: (place) => void this.places.set(machine, place),
    };
  }

  async peers(machine: string, changes: Partial<DaemonBootstrap> = {}): Promise<Peers> {
    const dir = `${this.dir}/${crypto.randomUUID().slice(0, 8)}`;
    await Deno.mkdir(`${dir}/daemon`, { recursive: true });
    const bootstrap = {
      user_id: machine,
      run_dir: dir,
      state_dir: dir,
      operator_keys: [this.operator.publicKey],
      ...changes,
    } as DaemonBootstrap;
    return new Peers({
      bootstrap,
      directory: this.directory(machine),
      clock: systemClock,
      log: createLogger("test", {}, () => {}),
      signal: this.#stop.signal,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Deno.remove(this.dir, { recursive: true });
  }
}
