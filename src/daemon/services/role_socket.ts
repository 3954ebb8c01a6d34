// SPDX-License-Identifier: Apache-2.0

/**
 * One role's socket in its caller's directory. What connects there is joined to the service that fills the
 * role at that moment, as bytes: who calls is in the token that it sends, for the service to check. A service
 * that starts anew is found again, and one that is bound instead gets the next connection (W-13).
 */
import type { Clock } from "../../lib/clock.ts";
import { closeQuietly, copyBoth } from "../../lib/duplex.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { turnsOfThread } from "../egress/turns.ts";

/** At once; a caller that leaves more open waits for its own. */
export const MAX_CONNECTIONS = 128;
/** A service that starts anew is waited for. */
const PATIENCE_MS = 10_000;
const RETRY_MS = 100;

let made = 0;

export interface RoleSocketOptions {
  /** Host path; the directory is the daemon's to write. */
  readonly path: string;
  /** Full localpart of the caller. */
  readonly caller: string;
  readonly role: string;
  /** Host path of the service's socket now. @throws while there is none */
  readonly offer: (service: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

export class RoleSocket {
  readonly #options: RoleSocketOptions;
  readonly #open = new Set<{ close(): void }>();
  #listener: Deno.UnixListener | null = null;
  #cut = new AbortController();
  /** User id. */
  #service: string | null = null;
  /** Where it was last. */
  #known: string | null = null;

  constructor(options: RoleSocketOptions) {
    this.#options = options;
  }

  /** @throws when the socket can't be made */
  async listen(): Promise<void> {
    const { path } = this.#options;
    const dir = path.slice(0, path.lastIndexOf("/"));
    // Bound by a short name: a path of a socket has 107 bytes. A name of its own: what a listener was bound by
    // is removed when it closes, some time later.
    const fresh = `${dir}/.${++made}`;
    await Deno.remove(fresh).catch(() => {});
    const listener = Deno.listen({ transport: "unix", path: fresh });
    try {
      await Deno.chmod(fresh, 0o660);
      await Deno.rename(fresh, path);
    } catch (thrown) {
      closeQuietly(listener);
      throw thrown;
    }
    this.#listener = listener;
    this.#accept(listener);
  }

  /** Whom the next connection reaches; those to another one are cut. */
  bind(service: string | null): void {
    if (service === this.#service) return;
    this.#service = service;
    this.#known = null;
    this.#cutAll();
  }

  close(): void {
    if (this.#listener !== null) closeQuietly(this.#listener);
    this.#listener = null;
    this.#cutAll();
  }

  #cutAll(): void {
    this.#cut.abort();
    this.#cut = new AbortController();
    for (const connection of this.#open) closeQuietly(connection);
    this.#open.clear();
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    const { log, caller, role } = this.#options;
    try {
      for await (const connection of listener) {
        if (this.#open.size >= 2 * MAX_CONNECTIONS || this.#service === null) {
          closeQuietly(connection);
          continue;
        }
        this.#open.add(connection);
        this.#join(connection, this.#service, this.#cut.signal)
          .catch((thrown) =>
            log.info("a call of a service failed", { caller, role, why: messageOf(thrown) })
          )
          .finally(() => {
            this.#open.delete(connection);
            closeQuietly(connection);
          });
      }
    } catch (thrown) {
      if (this.#listener === listener) {
        log.error("a role's socket ended", { caller, role, why: messageOf(thrown) });
      }
    }
  }

  async #join(connection: Deno.UnixConn, service: string, cut: AbortSignal): Promise<void> {
    const upstream = await this.#reach(service, cut);
    if (cut.aborted) return closeQuietly(upstream);
    this.#open.add(upstream);
    try {
      const turn = turnsOfThread.of(this.#options.caller);
      await copyBoth(connection, upstream, { up: 0, down: 0 }, turn);
    } finally {
      this.#open.delete(upstream);
      closeQuietly(upstream);
    }
  }

  /** @throws when it doesn't listen for too long */
  async #reach(service: string, cut: AbortSignal): Promise<Deno.UnixConn> {
    const { clock, offer } = this.#options;
    const deadline = clock.now() + PATIENCE_MS;
    while (true) {
      try {
        this.#known ??= await offer(service);
        return await Deno.connect({ transport: "unix", path: this.#known });
      } catch (thrown) {
        // Its socket may be another one by now.
        this.#known = null;
        if (cut.aborted || clock.now() >= deadline) throw thrown;
        await clock.sleep(RETRY_MS, cut).catch(() => {});
      }
    }
  }
}
