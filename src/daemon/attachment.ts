// SPDX-License-Identifier: Apache-2.0

/** The daemon's ends of one principal's sockets: egress gate, grants line, watchers. They live as long as its cell. */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { ProxyPolicy } from "../lib/schema/mod.ts";
import type { ResolvedEgress } from "../lib/template/mod.ts";
import type { Principal } from "../launcher/api.ts";
import { EgressGate } from "./egress/gate.ts";
import { ProxyLink } from "./proxy_link.ts";

/** The directory may come a moment after the news of its principal. */
const LISTEN_RETRY_MS = 50;
const LISTEN_TRIES = 200;

export class Attachment {
  /** People watching at the moment. */
  watchers = 0;
  readonly #runDir: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #gate: EgressGate;
  #rights: { policy: ProxyPolicy; key: string } | null = null;
  #proxy: ProxyLink | null = null;
  #current: { key: string; proxyRestarts: number; abort: AbortController } | null = null;

  constructor(localpart: string, runDir: string, clock: Clock, log: Logger) {
    this.#runDir = runDir;
    this.#clock = clock;
    this.#log = log;
    this.#gate = new EgressGate({ principal: localpart, log });
  }

  get egress(): { allowed: number; refused: number; bytes: number } {
    return this.#gate.counters;
  }

  setRights(policy: ProxyPolicy, egress: ResolvedEgress): void {
    const key = JSON.stringify([policy, egress]);
    if (this.#rights?.key === key) return;
    this.#rights = { policy, key };
    this.#gate.setPolicy(egress.allow, egress.deny);
    this.#proxy?.setPolicy(policy);
  }

  /** Opens, renews or closes, as the launcher says. */
  follow(status: Principal | null): void {
    const live = status !== null && status.phase !== "exited" && status.phase !== "failed";
    if (!live) return this.#detach();
    // A cell made anew has a new directory, even when the end of the old one was not seen.
    const key = `${status.hash}:${status.started_at}`;
    if (this.#current?.key === key) {
      if (this.#current.proxyRestarts !== status.proxy.restarts) {
        this.#current.proxyRestarts = status.proxy.restarts;
        if (this.#rights !== null) this.#proxy?.setPolicy(this.#rights.policy);
      }
      return;
    }
    this.#detach();
    const abort = new AbortController();
    this.#current = { key, proxyRestarts: status.proxy.restarts, abort };
    const dir = `${this.#runDir}/p/${status.hash}`;
    this.#listen(`${dir}/egress/egress.sock`, abort.signal);
    this.#proxy = new ProxyLink(`${dir}/admin/admin.sock`, this.#clock, this.#log);
    if (this.#rights !== null) this.#proxy.setPolicy(this.#rights.policy);
  }

  close(): void {
    this.#detach();
  }

  #detach(): void {
    this.#current?.abort.abort();
    this.#current = null;
    this.#gate.close();
    this.#proxy?.close();
    this.#proxy = null;
  }

  async #listen(path: string, signal: AbortSignal): Promise<void> {
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        return await this.#gate.listen(path, signal);
      } catch (thrown) {
        if (tries === LISTEN_TRIES) {
          this.#log.error("egress gate can't listen: the principal has no way out", {
            why: messageOf(thrown),
          });
          return;
        }
        await this.#clock.sleep(LISTEN_RETRY_MS, signal).catch(() => {});
      }
    }
  }
}
