// SPDX-License-Identifier: Apache-2.0

/** The daemon's ends of one principal's sockets: egress gate, grants line, watchers. They live as long as its cell. */
import type { Target } from "../lib/authority.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Budgets, ProxyPolicy } from "../lib/schema/mod.ts";
import type { ResolvedEgress } from "../lib/template/mod.ts";
import type { launcherApi, Principal } from "../launcher/api.ts";
import type { Client } from "../lib/http/mod.ts";
import type { ApprovalNews, Reply } from "./approvals/approvals.ts";
import type { AskDecider } from "./asks/types.ts";
import type { Said } from "./attention/decide.ts";
import type { Gates, PrincipalGate } from "./egress/gates.ts";
import type { EgressUsage } from "./egress/usage.ts";
import type { ProxyStats } from "../proxy/api.ts";
import { ProxyLink } from "./proxy_link.ts";
import type { SpendingAccount } from "./spending.ts";

/** The directory may come a moment after the news of its principal. */
const LISTEN_RETRY_MS = 50;
const LISTEN_TRIES = 200;

export interface AttachmentOptions {
  readonly launcher: Pick<Client<typeof launcherApi>, "call">;
  /** Full localpart. */
  readonly principal: string;
  readonly runDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where the policy leaves it to a person. */
  readonly ask: AskDecider;
  readonly gates: Gates;
  readonly account: Promise<SpendingAccount>;
  /** What gate or proxy refused, for whoever tells operators. */
  readonly onRefused: (target: Target, code: string, count?: number) => void;
  /** What the agent says of itself, through its proxy. */
  readonly onSaid: (said: Said) => void;
  /** Tool calls that the agent asks leave for, through its proxy. */
  readonly onApprovals: (news: ApprovalNews | null, reply: Reply) => void;
}

export class Attachment {
  /** People watching at the moment. */
  watchers = 0;
  readonly #runDir: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #gates: Gates;
  readonly #gate: PrincipalGate;
  readonly #onRefused: AttachmentOptions["onRefused"];
  readonly #onSaid: AttachmentOptions["onSaid"];
  readonly #onApprovals: AttachmentOptions["onApprovals"];
  readonly #account: Promise<SpendingAccount>;
  readonly #launcher: AttachmentOptions["launcher"];
  readonly #principal: string;
  #rights: {
    policy: ProxyPolicy;
    egress: ResolvedEgress;
    budgets: Budgets | null;
    key: string;
  } | null = null;
  #proxy: ProxyLink | null = null;
  /** Rights that the launcher has of the present cell, or gets with the next, as JSON. */
  #carried: string | null = null;
  #current: { key: string; proxyRestarts: number; admin: string; abort: AbortController } | null =
    null;

  constructor(options: AttachmentOptions) {
    const { launcher, principal, runDir, clock, log, ask, gates, account } = options;
    const { onRefused, onSaid, onApprovals } = options;
    this.#launcher = launcher;
    this.#principal = principal;
    this.#account = account;
    this.#runDir = runDir;
    this.#clock = clock;
    this.#log = log;
    this.#onRefused = onRefused;
    this.#onSaid = onSaid;
    this.#onApprovals = onApprovals;
    this.#gates = gates;
    this.#gate = gates.make({ principal, log, ask, onRefused });
  }

  get egress(): { allowed: number; refused: number; bytes: number } {
    return this.#gate.counters;
  }

  get egressUsage(): EgressUsage {
    return this.#gate.usage;
  }

  /** Of its proxy; null: there is none. */
  get adminSocket(): string | null {
    return this.#current?.admin ?? null;
  }

  /** Of its proxy; null where none runs. */
  async stats(): Promise<ProxyStats | null> {
    return await this.#proxy?.stats().catch(() => null) ?? null;
  }

  setRights(policy: ProxyPolicy, egress: ResolvedEgress, budgets: Budgets | null): void {
    const key = JSON.stringify([policy, egress, budgets]);
    if (this.#rights?.key === key) return;
    this.#rights = { policy, egress, budgets, key };
    this.#gate.setPolicy(egress.allow, egress.deny, egress.ask);
    this.#tellProxy();
  }

  /** What a start takes along the launcher knows. @param rights null: it was refused */
  carries(rights: ProxyPolicy | null): void {
    this.#carried = rights === null ? null : JSON.stringify(rights);
    if (rights === null) this.#tellProxy();
  }

  #tellProxy(): void {
    if (this.#rights === null) return;
    const { policy, egress, budgets } = this.#rights;
    this.#proxy?.setRights({ policy, requests: egress.requests, budgets });
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
        this.#tellProxy();
      }
      return;
    }
    this.#detach();
    const abort = new AbortController();
    const dir = `${this.#runDir}/p/${status.hash}`;
    const admin = `${dir}/admin/admin.sock`;
    this.#current = { key, proxyRestarts: status.proxy.restarts, admin, abort };
    this.#listen(`${dir}/egress/egress.sock`, abort.signal);
    // Before the proxy is told what its run has spent.
    const account = this.#account.then((account) => {
      account.follow(status.started_at);
      return account;
    });
    const started_at = String(status.started_at);
    const remember = async (rights: ProxyPolicy, signal: AbortSignal) => {
      const text = JSON.stringify(rights);
      if (text === this.#carried) return;
      const params = { principal: this.#principal };
      await this.#launcher.call("rights", { params, query: { started_at }, body: rights, signal });
      this.#carried = text;
    };
    this.#proxy = new ProxyLink({
      ...{ socket: admin, clock: this.#clock, log: this.#log, account, remember },
      ...{ onRefused: this.#onRefused, onSaid: this.#onSaid, onApprovals: this.#onApprovals },
    });
    this.#tellProxy();
  }

  /** For good. */
  close(): void {
    this.#detach();
    this.#gates.drop(this.#gate);
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
