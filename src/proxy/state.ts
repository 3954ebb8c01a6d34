// SPDX-License-Identifier: Apache-2.0

/** What one proxy knows while it runs: who it speaks for, what that one may do, and its counters. */
import { checkActor, checkSelf, type Decision } from "../lib/authorization/self.ts";
import { isUserPattern, matchUserPattern } from "../lib/glob/user.ts";
import { LabelledCounter, type Measured } from "../lib/metrics/mod.ts";
import type { ProxyPolicy } from "../lib/schema/events.ts";
import type { Clock } from "../lib/clock.ts";
import type { ProxyBootstrap, ProxyStats } from "./api.ts";
import { ProxyApprovals } from "./approvals.ts";
import { SaidAttention } from "./attention.ts";
import { BudgetMeter } from "./budget/meter.ts";
import { ProxyError } from "./errors.ts";
import type { LogLines } from "./log_lines.ts";
import { RequestLog } from "./log.ts";
import { TunnelRefusals } from "./refusals.ts";
import { HostTable } from "./swap/hosts.ts";

/** Requests of one principal that may be open at once, long polls and streams included. */
export const DEFAULT_MAX_ACTIVE = 256;

export class ProxyState {
  #bootstrap: ProxyBootstrap;
  readonly counters = { bytesIn: 0, bytesOut: 0, abandoned: 0 };
  /** What its model requests may take, and took. */
  readonly budget: BudgetMeter;
  policy: ProxyPolicy;
  /** Whose requests are read, and what for. */
  readonly hosts: HostTable;
  /** Tunnels that no grant allows, for the daemon to tell operators of. */
  readonly refusals = new TunnelRefusals();
  /** What the agent says of itself. */
  readonly attention = new SaidAttention();
  /** Tool calls that it asks leave for. */
  readonly approvals = new ProxyApprovals();
  /** A line and a count for each request. */
  readonly log: RequestLog;
  draining = false;
  active = 0;
  readonly #clock: Clock;
  readonly #maxActive: number;
  readonly #denials = new LabelledCounter();
  #credentialsAt: number;
  #requests = 0;
  #refused = 0;
  #upstreamErrors = 0;
  #misplaced = 0;

  constructor(
    bootstrap: ProxyBootstrap,
    clock: Clock,
    maxActive = DEFAULT_MAX_ACTIVE,
    lines?: LogLines,
  ) {
    this.#bootstrap = bootstrap;
    this.#credentialsAt = clock.now();
    this.policy = { grants: bootstrap.grants, denials: bootstrap.denials };
    this.hosts = new HostTable(
      bootstrap.placeholders ?? [],
      bootstrap.egress,
      () => clock.now(),
    );
    this.log = new RequestLog({
      principal: bootstrap.principal,
      ...(lines === undefined ? {} : { lines }),
    });
    this.#clock = clock;
    this.budget = new BudgetMeter(bootstrap.budgets, () => clock.now());
    this.#maxActive = maxActive;
  }

  now(): number {
    return this.#clock.now();
  }

  get bootstrap(): ProxyBootstrap {
    return this.#bootstrap;
  }

  /** Its credentials are others. */
  set bootstrap(bootstrap: ProxyBootstrap) {
    this.#bootstrap = bootstrap;
    this.#credentialsAt = this.now();
  }

  /**
   * Counts a request in, until `completed` settles: that is when the last byte of its response left or
   * the caller did.
   *
   * @throws {ProxyError} `draining`, 503, or `too-many-requests`, 429
   */
  admit(completed: Promise<void>): void {
    this.#requests++;
    if (this.draining) {
      throw new ProxyError("draining", "Cannot take the request: the proxy is shutting down", {
        status: 503,
        hint: "the agent's proxy is replaced; repeat the request",
      });
    }
    if (this.active >= this.#maxActive) {
      throw new ProxyError(
        "too-many-requests",
        `Cannot take the request: ${this.#maxActive} of this principal are open already`,
        { status: 429, hint: "wait for one of them to end" },
      );
    }
    this.active++;
    const leave = () => {
      this.active--;
    };
    completed.then(leave, leave);
  }

  /**
   * Every call asks again: grants run out, and the daemon replaces them.
   *
   * @throws {ProxyError} `forbidden`, 403, naming the action and the rule
   */
  require(action: string): void {
    const decision = checkSelf(this.policy, action, this.now());
    if (decision.allowed) return;
    this.refusals.note(action);
    throw new ProxyError(
      "forbidden",
      `Cannot do "${action}" as "${this.bootstrap.principal}": ${decision.reason}${
        ruleOf(decision)
      }`,
      {
        status: 403,
        hint: decision.reason === "explicit denial"
          ? "an operator denied this action in the assignment, the template or the room's policy"
          : `an operator can grant "${action}" in the assignment or its template`,
      },
    );
  }

  /** Whether an action is allowed, where its refusal is not the end of the request. */
  allows(action: string): boolean {
    return checkSelf(this.policy, action, this.now()).allowed;
  }

  /**
   * Whether an action is allowed on one target: for lists that show only what the caller may see. A grant
   * without targets shows nothing, as everywhere (`Grant.targets`).
   *
   * @param target `localpart:server`, of a user or an alias
   */
  allowsOn(action: string, target: string): boolean {
    return checkActor(this.policy, action, this.now(), (targets, side) => {
      if (targets === undefined) return side === "denial";
      return targets.some((pattern) =>
        matchUserPattern(pattern, target) || (side === "denial" && !isUserPattern(pattern))
      );
    }).allowed;
  }

  /** Counts a further request on a connection that was let in. */
  countRequest(): void {
    this.#requests++;
  }

  /** Counts how a request failed. */
  note(error: unknown): void {
    if (!(error instanceof ProxyError)) return;
    if (error.code === "placeholder-wrong-host") this.#misplaced++;
    if (error.status === 403 || error.status === 429) {
      this.#refused++;
      this.#denials.add({ reason: error.code });
    } else if (error.status >= 502) this.#upstreamErrors++;
  }

  get metrics(): Measured {
    const { active, upstream_errors, refused, misplaced, draining } = this.stats();
    return {
      ...this.log.metrics.measured,
      bureau_proxy_active_requests: active,
      bureau_proxy_upstream_errors_total: upstream_errors,
      bureau_proxy_refused_total: refused,
      bureau_proxy_denials_total: this.#denials.samples,
      bureau_proxy_misplaced_placeholders_total: misplaced,
      bureau_proxy_draining: Number(draining),
      bureau_proxy_log_lines_dropped_total: this.log.lines.dropped,
      bureau_proxy_credentials_time_seconds: this.#credentialsAt / 1000,
      bureau_proxy_credential_expiry_time_seconds: [...expiries(this.#bootstrap)].map(
        ([credential, at]) => [{ credential }, at / 1000],
      ),
    };
  }

  stats(): ProxyStats {
    return {
      requests: this.#requests,
      active: this.active,
      upstream_errors: this.#upstreamErrors,
      refused: this.#refused,
      bytes_in: this.counters.bytesIn,
      bytes_out: this.counters.bytesOut,
      misplaced: this.#misplaced,
      draining: this.draining,
    };
  }
}

/** When what an operator sealed stops working, by its name. */
function expiries({ services, ssh_keys = {} }: ProxyBootstrap): Map<string, number> {
  const all = new Map<string, number>();
  for (const { expires = {} } of Object.values(services)) {
    for (const [name, at] of Object.entries(expires)) all.set(name, at);
  }
  for (const { name, expires_at } of Object.values(ssh_keys)) {
    if (expires_at !== undefined) all.set(name, expires_at);
  }
  return all;
}

/** The rule that refused, as an operator wrote it. */
function ruleOf({ denial, grant }: Decision): string {
  const rule = denial ?? grant;
  if (rule === undefined) return "";
  const source = rule.source === undefined ? "" : ` of ${rule.source}`;
  const expiry = denial === undefined && grant?.expires_at !== undefined
    ? `, until ${grant.expires_at}`
    : "";
  return ` (${rule.actions.join(", ")}${source}${expiry})`.slice(0, 400);
}
