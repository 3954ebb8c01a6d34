// SPDX-License-Identifier: Apache-2.0

/** Keeps one proxy's grants and its rules for single hosts as they should be, for as long as its principal lives. */
import * as z from "zod/mini";
import { authorityOf, parseAuthority, type Target } from "../lib/authority.ts";
import type { Clock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { createClient } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import type { Budgets, ProxyPolicy } from "../lib/schema/mod.ts";
import type { EgressRequests } from "../lib/template/mod.ts";
import { proxyAdminApi, type ProxyStats, SpentUsage } from "../proxy/api.ts";
import { ApprovalNews, type Reply } from "./approvals/approvals.ts";
import type { Said } from "./attention/decide.ts";
import type { SpendingAccount } from "./spending.ts";

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5_000;
const STATS_MS = 5_000;
/** As long as nothing else happens to its principal, the launcher answers in a few milliseconds. */
const REMEMBER_MS = 500;
const REPLY_TRIES = 20;
const REPLY_RETRY_MS = 500;
/** Answers that are on their way to one proxy. */
const MAX_REPLIES = 64;
const GONE: ReadonlySet<string> = new Set(["another", "no-such-principal"]);

export type ProxyLinkListener = (target: Target, code: string, count: number) => void;

/** What the proxy says while it is watched. It comes from a cell, so it is read like a stranger's. */
const WatchEvent = z.object({
  refused: z.optional(
    z.array(z.object({ host: z.string(), port: z.number(), count: z.number() })),
  ),
  usage: z.optional(z.array(SpentUsage)),
  attention: z.optional(z.object({
    state: z.enum(["working", "waiting", "idle"]),
    message: z.nullable(z.string()),
    at: z.number(),
  })),
  approvals: z.optional(ApprovalNews),
});

/** What the proxy is told of its principal. */
export interface ProxyRights {
  readonly policy: ProxyPolicy;
  readonly requests: EgressRequests;
  readonly budgets: Budgets | null;
}

export interface ProxyLinkOptions {
  readonly socket: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly account: Promise<SpendingAccount>;
  /** Tells the launcher, which makes the next proxy. */
  readonly remember: (rights: ProxyPolicy, signal: AbortSignal) => Promise<void>;
  /** Tunnels that the proxy refused for want of a grant. */
  readonly onRefused: ProxyLinkListener;
  /** What its agent says of itself. */
  readonly onSaid: (said: Said) => void;
  /** Tool calls that its agent asks leave for. @param news null: it is not heard any more */
  readonly onApprovals: (news: ApprovalNews | null, reply: Reply) => void;
}

export class ProxyLink {
  readonly #options: ProxyLinkOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #rights: ProxyRights | null = null;
  #again = new AbortController();
  #pushes = 0;
  #replies = 0;

  /** Of the present proxy, since it is watched. */
  #heard = 0;

  constructor(options: ProxyLinkOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#run();
  }

  /** How often grants were accepted by the proxy. */
  get pushes(): number {
    return this.#pushes;
  }

  /** From now on this; also given to every later proxy behind the same socket. */
  setRights(rights: ProxyRights): void {
    this.#rights = rights;
    this.#again.abort();
  }

  close(): void {
    this.#stop.abort();
    this.#again.abort();
  }

  /** @returns the proxy's counters. @throws when it doesn't answer */
  async stats(): Promise<ProxyStats> {
    const client = createClient(proxyAdminApi, { socket: this.#options.socket });
    try {
      return await client.call("stats", { signal: AbortSignal.timeout(STATS_MS) });
    } finally {
      client.close();
    }
  }

  /** Tried until the proxy has it; one that was replaced asks again itself. */
  readonly #reply: Reply = async (key, { approved, why }) => {
    // One that asks for more than that is not our proxy, or not its own any more.
    if (this.#replies >= MAX_REPLIES) return;
    this.#replies++;
    const client = createClient(proxyAdminApi, { socket: this.#options.socket });
    const { signal } = this.#stop;
    try {
      for (let tries = 0; tries < REPLY_TRIES && !signal.aborted; tries++) {
        const body = { key, approved, why };
        const done = client.call("approval", { body, signal }).then(() => true, () => false);
        if (await done) return;
        await this.#clock.sleep(REPLY_RETRY_MS, signal).catch(() => {});
      }
    } finally {
      this.#replies--;
      client.close();
    }
  };

  #hear(event: unknown, account: SpendingAccount): void {
    const parsed = z.safeParse(WatchEvent, event);
    if (!parsed.success) return;
    for (const usage of parsed.data.usage ?? []) {
      this.#heard++;
      account.add(usage);
    }
    if (parsed.data.attention !== undefined) this.#options.onSaid(parsed.data.attention);
    const { approvals } = parsed.data;
    if (approvals !== undefined) this.#options.onApprovals(approvals, this.#reply);
    for (const { host, port, count } of parsed.data.refused ?? []) {
      const target = parseAuthority(authorityOf({ host, port }));
      if (target !== null && count > 0) {
        this.#options.onRefused(target, "forbidden", Math.trunc(count));
      }
    }
  }

  #remembered(policy: ProxyPolicy, signal: AbortSignal): Promise<void> {
    const remember = async () => {
      while (!signal.aborted) {
        try {
          return await this.#options.remember(policy, signal);
        } catch (thrown) {
          // Of a cell that is gone.
          if (thrown instanceof BureauError && GONE.has(thrown.code)) return;
          await this.#clock.sleep(RETRY_MAX_MS, signal).catch(() => {});
        }
      }
    };
    return within(remember(), this.#clock);
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#again = new AbortController();
      const signal = this.#again.signal;
      try {
        if (this.#rights === null) await untilAborted(signal);
        else await this.#push(this.#rights, signal, () => failures = 0);
      } catch (thrown) {
        if (signal.aborted) continue;
        failures++;
        if (failures === 10) {
          this.#log.warn("grants not delivered to the proxy yet", { why: messageOf(thrown) });
        }
      }
      if (signal.aborted) continue;
      const wait = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_MAX_MS);
      await this.#clock.sleep(wait, signal).catch(() => {});
    }
  }

  /**
   * Watches first and pushes then: should the proxy be replaced in between, the watch ends and both are
   * done again. The other way round a new proxy could be watched that never got the grants.
   */
  async #push(
    { policy, requests, budgets }: ProxyRights,
    signal: AbortSignal,
    onDone: () => void,
  ): Promise<void> {
    // A client of its own for each proxy: a pooled connection may lead to the one before.
    const client = createClient(proxyAdminApi, { socket: this.#options.socket });
    try {
      const account = await this.#options.account;
      account.setBudgets(budgets);
      this.#heard = 0;
      const watch = client.events("watch", { signal });
      const ended = (async () => {
        for await (const event of watch) this.#hear(event, account);
      })();
      ended.catch(() => {});
      // Where the launcher answers: a proxy that is made again has them, too.
      await this.#remembered(policy, signal);
      // The rules first: a grant may be for a host that only some requests may go to.
      const rules = { allow: [...requests.allow], deny: [...requests.deny] };
      await client.call("egress", { body: rules, signal });
      await client.call("budget", { body: account.state(this.#heard), signal });
      await client.call("grants", { body: policy, signal });
      this.#pushes++;
      onDone();
      await ended;
    } finally {
      client.close();
      this.#options.onApprovals(null, this.#reply);
    }
  }
}

/** A moment is waited for; then the proxy is told all the same, and the launcher as soon as it can be. */
async function within(done: Promise<void>, clock: Clock): Promise<void> {
  const late = new AbortController();
  await Promise.race([done, clock.sleep(REMEMBER_MS, late.signal).catch(() => {})]);
  late.abort();
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
