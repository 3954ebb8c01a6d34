// SPDX-License-Identifier: Apache-2.0

/** The proxy of one principal: what it is made from, and is told later. */
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { ProxyPolicy } from "../lib/schema/mod.ts";
import type { ProxyBootstrap } from "../proxy/api.ts";
import type { Principal as Status } from "./api.ts";
import { startServiceCell } from "./cells.ts";
import { directoriesOf } from "./directories.ts";
import { KeptProxy } from "./kept_proxy.ts";
import type { Enter } from "./limits_enter.ts";
import type { RotatedCredentials } from "./rotated.ts";

export interface PrincipalProxyOptions {
  readonly principal: string;
  readonly hash: string;
  readonly runDir: string;
  readonly runtimeDir: string;
  readonly auditDir: string | undefined;
  readonly rotated: RotatedCredentials;
  readonly enter: Enter | undefined;
  readonly onChange: (proxy: Status["proxy"]) => void;
  /** Told what its logins were given in the place of sealed tokens. Secret. */
  readonly onTokens: (values: readonly string[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export class PrincipalProxy {
  readonly #options: PrincipalProxyOptions;
  readonly #kept: KeptProxy;
  /** Secret. */
  #document: ProxyBootstrap;

  constructor(document: ProxyBootstrap, options: PrincipalProxyOptions) {
    this.#options = options;
    this.#document = document;
    const { principal, onChange, clock, log } = options;
    this.#kept = new KeptProxy({ principal, launch: () => this.#launch(), onChange, clock, log });
  }

  async #launch() {
    const { principal, hash, runDir, runtimeDir, auditDir, rotated, enter, log } = this.#options;
    const document = this.#document;
    const owner = { hash, principal };
    const dirs = directoriesOf(runDir, hash);
    const binds = (["agent", "admin", "egress"] as const).map((name) => ({
      source: dirs[name],
      dest: `/run/bureau/${name}`,
    }));
    const cell = await startServiceCell(
      "proxy",
      runtimeDir,
      binds,
      await this.#newest(document),
      (line) => log.info("proxy says", { principal, line }),
      auditDir,
      enter,
      (line) => void rotated.take(owner, this.#document, line).then(() => this.#newest()),
    );
    // Other rights came meanwhile, and it has those of before: the next one has them.
    if (document !== this.#document) cell.kill("SIGKILL");
    return cell;
  }

  /** The document with the newest tokens. */
  async #newest(document = this.#document): Promise<ProxyBootstrap> {
    const { hash, principal, rotated, onTokens } = this.#options;
    const newest = await rotated.into({ hash, principal }, document);
    const tokens = (newest.oauth2 ?? []).flatMap((login) => [
      login.refresh_token,
      login.access_token ?? "",
    ]);
    if (tokens.length > 0) onTokens(tokens);
    return newest;
  }

  start(): Promise<void> {
    return this.#kept.start();
  }

  startOrRetry(): Promise<void> {
    return this.#kept.startOrRetry();
  }

  /** What the next one is made from; the one that runs is told by others. */
  follow(document: ProxyBootstrap): void {
    this.#document = document;
  }

  /** As `follow`, of the rights alone. @returns whether they are others */
  setRights({ grants, denials }: ProxyPolicy): boolean {
    const before = JSON.stringify([this.#document.grants, this.#document.denials]);
    if (before === JSON.stringify([grants, denials])) return false;
    this.#document = { ...this.#document, grants, denials };
    return true;
  }

  /** It goes on with other credentials; resolves when no request gets the old ones any more. */
  async renew(document: ProxyBootstrap): Promise<void> {
    this.#document = document;
    await this.#kept.renew(await this.#newest());
  }

  end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    return this.#kept.end(signal);
  }
}
