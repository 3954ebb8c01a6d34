// SPDX-License-Identifier: Apache-2.0

/** The daemon's side of ask mode as one thing: the desk, its message room, its file, its listeners. */
import { authorityOf, type Target } from "../../lib/authority.ts";
import { forwardAction } from "../../lib/authorization/mod.ts";
import type { ProxyPolicy } from "../../lib/schema/mod.ts";
import type { ResolvedEgress } from "../../lib/template/mod.ts";
import type { SyncBatch } from "../../messaging/mod.ts";
import { parseAddress, specialUse } from "../egress/addresses.ts";
import { DestinationPolicy, isLocalhost } from "../egress/policy.ts";
import { askPattern } from "../../lib/authority.ts";
import { AskDesk } from "./desk.ts";
import { ANSWER_TYPES, QuestionRoom, type Telling } from "../questions.ts";
import { askContent, decidedContent, needsSignature } from "./message.ts";
import { type AskStore, fileAskStore } from "./store.ts";
import type { Ask, AskAnswer, AskDecider, Decided, Verdict } from "./types.ts";
import type { AsksAnswer } from "./api.ts";

export interface AsksOptions extends Telling {
  readonly mayDecide: (user: string) => boolean;
  /** How long a principal's questions may stay open. */
  readonly timeoutOf: (principal: string) => number;
  /** What holds for a while has changed for this principal: its rights are to be made anew. */
  readonly onRules: (principal: string) => void;
  /** The sync must bring these types from now on; none: nothing is open. */
  readonly onTypes: (types: readonly string[]) => void;
  readonly store?: AskStore;
}

export interface Rights {
  readonly policy: ProxyPolicy;
  readonly egress: ResolvedEgress;
}

export class EgressAsks implements AskDecider {
  readonly desk: AskDesk;
  readonly #options: AsksOptions;
  readonly #room: QuestionRoom<Ask, Decided>;
  readonly #store: AskStore;
  readonly #watchers = new Set<(now: AsksAnswer) => void>();
  #follows = false;

  constructor(options: AsksOptions) {
    this.#options = options;
    this.#store = options.store ?? fileAskStore(options.stateDir, options.log);
    this.#room = new QuestionRoom<Ask, Decided>({
      notice: "egress_ask",
      prefix: "bureau-ask",
      pending: () => this.desk.pending,
      announced: (id, event) => this.desk.announced(id, event),
      mayDecide: options.mayDecide,
      decide: (ask, { verdict, scope }, who) => {
        if (scope.kind === "always") return needsSignature(ask);
        this.desk.decide(ask.id, verdict, scope, who);
        return null;
      },
      asks: (ask) => askContent(ask, options.admins),
      ended: decidedContent,
    }, options);
    this.desk = new AskDesk({
      clock: options.clock,
      log: options.log,
      store: this.#store,
      timeoutOf: options.timeoutOf,
      onAsk: (ask) => this.#room.announce(ask),
      onDecided: (decided) => this.#room.conclude(decided),
      onRules: options.onRules,
      onChange: () => this.#changed(),
    });
  }

  async load(): Promise<void> {
    await this.desk.load();
  }

  /** Resolves when every decision so far is on disk, or could not be written. */
  async settled(): Promise<void> {
    await this.#store.settled();
  }

  async close(): Promise<void> {
    this.desk.close();
    await this.#store.settled();
  }

  /**
   * Nobody is asked about this machine itself and its surroundings: a name in a message says too little
   * about what is there.
   */
  ask(principal: string, target: Target, signal: AbortSignal): Promise<AskAnswer> {
    const address = parseAddress(target.host);
    const special = address === null ? null : specialUse(address);
    if (special !== null || isLocalhost(target.host)) {
      return Promise.resolve({
        allowed: false,
        code: "egress-refused-address",
        why: `${special ?? "this machine"} is never asked about`,
        hint: `a private address must be named itself in egress.allow: "${authorityOf(target)}"`,
      });
    }
    return this.desk.ask(principal, target, signal);
  }

  /** What the sync brought of the config room. */
  take(batch: SyncBatch): void {
    this.#room.takeBatch(batch);
  }

  /** The rights that the events give, and what holds for a while besides. */
  extend(principal: string, { policy, egress }: Rights): Rights {
    const rules = this.desk.rules.of(principal);
    if (rules.length === 0) return { policy, egress };
    const allowed = rules.filter((rule) => rule.allowed);
    return {
      egress: {
        ...egress,
        allow: [...egress.allow, ...allowed.map(authorityOf)],
        deny: [...egress.deny, ...rules.filter((rule) => !rule.allowed).map(authorityOf)],
      },
      policy: {
        ...policy,
        grants: [
          ...policy.grants,
          ...allowed.map((rule) => ({
            actions: [forwardAction(rule)],
            expires_at: new Date(rule.until).toISOString(),
            source: "egress",
          })),
        ],
      },
    };
  }

  /** Those rights are in force now: what they decide needs no person any more. */
  settle(principal: string, { allow, deny, ask }: ResolvedEgress): void {
    const policy = new DestinationPolicy(allow, deny);
    const asked = ask.hosts.map(askPattern).filter((pattern) => pattern !== null);
    this.desk.reconsider(principal, (target): Verdict | null => {
      if (policy.denied(target) !== null) return "deny";
      if (policy.match(target) !== null) return "approve";
      return asked.some((matches) => matches(target)) ? null : "deny";
    });
  }

  /** Whoever is not assigned any more leaves nothing to a namesake. */
  prune(isAssigned: (principal: string) => boolean): void {
    for (const principal of new Set(this.desk.rules.all.map((rule) => rule.principal))) {
      if (!isAssigned(principal)) this.desk.forget(principal);
    }
  }

  /** Everything, for those who may decide. */
  get view(): AsksAnswer {
    return {
      pending: this.desk.pending.map(({ event_id: _, ...ask }) => ask),
      decided: this.desk.decided.map(({ event_id: _, until: __, ...decided }) => decided),
      rules: [...this.desk.rules.all],
    };
  }

  /** @returns the unsubscriber */
  watch(watcher: (now: AsksAnswer) => void): () => void {
    watcher(this.view);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #changed(): void {
    const follows = this.desk.pending.length > 0;
    if (follows !== this.#follows) {
      this.#follows = follows;
      this.#options.onTypes(follows ? ANSWER_TYPES : []);
    }
    if (this.#watchers.size === 0) return;
    const now = this.view;
    for (const watcher of this.#watchers) watcher(now);
  }
}
