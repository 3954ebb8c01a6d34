// SPDX-License-Identifier: Apache-2.0

/**
 * Open questions about destinations, and who may end them. Connections wait here; a person's answer, the
 * policy, or time lets them go. Nothing that was said before a question was asked answers it, so an old
 * reaction, replayed by whatever, approves nothing.
 */
import { authorityOf, type Target } from "../../lib/authority.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { DaemonError } from "../errors.ts";
import { RateOfAsks } from "./rate.ts";
import { TemporaryRules } from "./rules.ts";
import type { AskStore } from "./store.ts";
import type {
  Ask,
  AskAnswer,
  AskDecider,
  Decided,
  Decider,
  Outcome,
  Scope,
  Verdict,
} from "./types.ts";

/** Open questions of one principal; what comes beyond is denied. */
export const MAX_PENDING = 32;
/**
 * What was decided once also holds for what follows within this: programs open several connections, and
 * try again what was refused.
 */
export const ONCE_MS = 60_000;
const MAX_DECIDED = 100;
/** Connections that wait for one answer; the gate has a limit of its own. */
const MAX_WAITING = 256;

export interface DeskOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly store: AskStore;
  /** How long a question of this principal may stay open, in milliseconds. */
  readonly timeoutOf: (principal: string) => number;
  /** A question is open: tell people. */
  readonly onAsk: (ask: Ask) => void;
  readonly onDecided: (decided: Decided) => void;
  /** What is allowed or denied for a while has changed for this principal. */
  readonly onRules: (principal: string) => void;
  /** Anything that a list shows has changed. */
  readonly onChange?: () => void;
  readonly newId?: () => string;
}

interface Open {
  ask: Ask;
  readonly waiting: Set<(answer: AskAnswer) => void>;
  readonly timer: AbortController;
}

export class AskDesk implements AskDecider {
  readonly rules: TemporaryRules;
  readonly #options: DeskOptions;
  readonly #open = new Map<string, Open>();
  readonly #rate: RateOfAsks;
  /** Answers to what was asked a moment ago, by destination. */
  readonly #recent = new Map<string, { readonly until: number; readonly answer: AskAnswer }>();
  #decided: Decided[] = [];
  #closed = false;

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#rate = new RateOfAsks(options.clock);
    this.rules = new TemporaryRules(options.clock, (principal) => {
      this.#save();
      options.onRules(principal);
    });
  }

  /** Takes up what an earlier life left: rules go on, questions don't, for their connections are gone. */
  async load(): Promise<void> {
    const state = await this.#options.store.load();
    this.#decided = [...state.decided].slice(-MAX_DECIDED);
    this.rules.restore(state.rules);
    const at = this.#options.clock.now();
    for (const ask of state.pending) {
      this.#record({
        ...ask,
        outcome: "withdrawn",
        by: "the daemon",
        via: "daemon",
        at,
        expires_at: null,
        always: false,
      });
    }
    this.#save();
  }

  /** Oldest first. */
  get pending(): readonly (Ask & { readonly waiting: number })[] {
    return [...this.#open.values()].map(({ ask, waiting }) => ({ ...ask, waiting: waiting.size }));
  }

  /** Newest first. */
  get decided(): readonly Decided[] {
    return [...this.#decided].reverse();
  }

  ask(principal: string, target: Target, signal: AbortSignal): Promise<AskAnswer> {
    const key = keyOf(principal, target);
    const known = this.#known(principal, target, key);
    if (known !== null) return Promise.resolve(known);
    let open = this.#open.get(key);
    if (open === undefined) {
      const refusal = this.#refusal(principal);
      if (refusal !== null) return Promise.resolve(refusal);
      open = this.#begin(principal, target, key);
    }
    if (open.waiting.size >= MAX_WAITING) return Promise.resolve(TOO_MANY);
    return this.#wait(open, signal);
  }

  /**
   * @param verdict of whom the caller has made sure that they may decide
   * @returns what was decided; null when the question is not open (any more)
   */
  decide(id: string, verdict: Verdict, scope: Scope, who: Decider): Decided | null {
    const found = [...this.#open].find(([, { ask }]) => ask.id === id);
    if (found === undefined) return null;
    const [key, { ask }] = found;
    const now = this.#options.clock.now();
    const expires = scope.kind === "for" ? now + scope.ms : null;
    const allowed = verdict === "approve";
    const answer: AskAnswer = allowed
      ? {
        allowed,
        code: "ask-approved",
        why: `${who.by} approved it`,
        ...(expires === null ? {} : { until: expires }),
      }
      : {
        allowed,
        code: "ask-denied",
        why: `${who.by} denied it`,
        hint: "do without it, or say in your room why it is needed",
      };
    this.#end(key, allowed ? "approved" : "denied", who, answer, {
      expires_at: expires,
      always: scope.kind === "always",
    });
    const kept = expires !== null &&
      this.rules.set({ ...ask, allowed, until: expires, by: who.by });
    if (!kept) this.#remember(key, answer);
    return this.#decided.at(-1)!;
  }

  /** The homeserver has the question's message. */
  announced(id: string, event: string): void {
    for (const open of this.#open.values()) {
      if (open.ask.id !== id || open.ask.event_id === event) continue;
      open.ask = { ...open.ask, event_id: event };
      this.#save();
    }
  }

  /**
   * The policy has changed: what it decides now needs no person.
   * @param verdict null where it still asks
   */
  reconsider(principal: string, verdict: (target: Target) => Verdict | null): void {
    for (const [key, { ask }] of [...this.#open]) {
      const now = ask.principal === principal ? verdict(ask) : null;
      if (now === null) continue;
      const allowed = now === "approve";
      this.#end(key, allowed ? "approved" : "denied", { by: "the policy", via: "policy" }, {
        allowed,
        code: allowed ? "ask-approved" : "egress-denied",
        why: `the policy ${allowed ? "allows" : "does not allow"} it now`,
      });
    }
    // What was remembered for a moment must not outlive the policy that asked.
    for (const key of this.#recent.keys()) {
      if (key.startsWith(`${principal} `)) this.#recent.delete(key);
    }
  }

  /** It is no longer assigned: whoever gets its name later inherits no decision. */
  forget(principal: string): void {
    for (const [key, { ask }] of [...this.#open]) {
      if (ask.principal !== principal) continue;
      this.#end(key, "withdrawn", { by: "the daemon", via: "daemon" }, WITHDRAWN);
    }
    for (const key of this.#recent.keys()) {
      if (key.startsWith(`${principal} `)) this.#recent.delete(key);
    }
    this.#rate.forget(principal);
    this.rules.forget(principal);
  }

  /** Lets every connection go. What is open stays written down, for the next life to withdraw. */
  close(): void {
    this.#closed = true;
    for (const { waiting, timer } of this.#open.values()) {
      timer.abort();
      for (const resolve of waiting) resolve(WITHDRAWN);
    }
    this.rules.close();
  }

  #known(principal: string, target: Target, key: string): AskAnswer | null {
    if (this.#closed) return WITHDRAWN;
    const rule = this.rules.find(principal, target);
    if (rule !== null) {
      return rule.allowed
        ? {
          allowed: true,
          code: "ask-approved",
          why: `${rule.by} approved it for a while`,
          until: rule.until,
        }
        : { allowed: false, code: "ask-denied", why: `${rule.by} denied it for a while` };
    }
    const recent = this.#recent.get(key);
    if (recent === undefined) return null;
    if (recent.until > this.#options.clock.now()) return recent.answer;
    this.#recent.delete(key);
    return null;
  }

  #refusal(principal: string): AskAnswer | null {
    const open = [...this.#open.values()].filter(({ ask }) => ask.principal === principal).length;
    return open >= MAX_PENDING || !this.#rate.take(principal) ? TOO_MANY : null;
  }

  #begin(principal: string, { host, port }: Target, key: string): Open {
    const { clock, log } = this.#options;
    const since = clock.now();
    const until = since + this.#options.timeoutOf(principal);
    const id = (this.#options.newId ?? randomId)();
    const ask: Ask = { id, principal, host, port, since, until, event_id: null };
    const open: Open = { ask, waiting: new Set(), timer: new AbortController() };
    this.#open.set(key, open);
    clock.sleep(until - since, open.timer.signal).then(
      () => this.#timeOut(key, open),
      () => {},
    );
    log.info("egress asked", { principal, target: authorityOf(ask), ask: id });
    this.#save();
    this.#options.onAsk(ask);
    return open;
  }

  #timeOut(key: string, open: Open): void {
    if (this.#open.get(key) !== open) return;
    this.#end(key, "timed-out", { by: "nobody", via: "timeout" }, TIMED_OUT);
    this.#remember(key, TIMED_OUT);
  }

  #wait(open: Open, signal: AbortSignal): Promise<AskAnswer> {
    return new Promise((resolve) => {
      const done = (answer: AskAnswer) => {
        signal.removeEventListener("abort", leave);
        open.waiting.delete(done);
        resolve(answer);
      };
      // The question stays: programs give up sooner than people answer, and try again.
      const leave = () => done(WITHDRAWN);
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      open.waiting.add(done);
      this.#options.onChange?.();
    });
  }

  #end(
    key: string,
    outcome: Outcome,
    { by, via }: Decider,
    answer: AskAnswer,
    holds: { expires_at: number | null; always: boolean } = { expires_at: null, always: false },
  ): void {
    const open = this.#open.get(key)!;
    this.#open.delete(key);
    open.timer.abort();
    const at = this.#options.clock.now();
    this.#record({ ...open.ask, outcome, by, via, at, ...holds });
    this.#save();
    for (const resolve of [...open.waiting]) resolve(answer);
  }

  #record(decided: Decided): void {
    this.#decided.push(decided);
    if (this.#decided.length > MAX_DECIDED) this.#decided.shift();
    this.#options.log.info("egress ask ended", {
      principal: decided.principal,
      target: authorityOf(decided),
      ask: decided.id,
      outcome: decided.outcome,
      by: decided.by,
      via: decided.via,
    });
    this.#options.onDecided(decided);
  }

  #remember(key: string, answer: AskAnswer): void {
    const now = this.#options.clock.now();
    for (const [old, { until }] of this.#recent) if (until <= now) this.#recent.delete(old);
    this.#recent.set(key, { until: now + ONCE_MS, answer });
  }

  #save(): void {
    this.#options.store.save({
      version: 1,
      pending: [...this.#open.values()].map(({ ask }) => ask),
      rules: this.rules.all,
      decided: this.#decided,
    });
    this.#options.onChange?.();
  }

  /** Sets what holds for a while without a question. @throws {DaemonError} `too-many-rules` */
  setRule(principal: string, target: Target, allowed: boolean, ms: number, by: string): number {
    const until = this.#options.clock.now() + ms;
    if (!this.rules.set({ principal, ...target, allowed, until, by })) {
      throw new DaemonError(
        "too-many-rules",
        `Cannot decide "${authorityOf(target)}": too many hold now`,
        {
          status: 409,
          hint: "write what should stay into the policy: `bureau egress allow NAME HOST`",
        },
      );
    }
    return until;
  }
}

function keyOf(principal: string, { host, port }: Target): string {
  return `${principal} ${host} ${port}`;
}

/** Six letters and digits that can't be taken for one another; typed by people. */
function randomId(): string {
  const letters = "23456789abcdefghjkmnpqrstuvwxyz";
  return [...crypto.getRandomValues(new Uint8Array(6))]
    .map((byte) => letters[byte % letters.length]).join("");
}

const TIMED_OUT: AskAnswer = {
  allowed: false,
  code: "ask-timeout",
  why: "an operator was asked and did not answer in time",
  hint: "say in your room why it is needed; it is asked again in a minute",
};
const WITHDRAWN: AskAnswer = {
  allowed: false,
  code: "ask-withdrawn",
  why: "the question to the operator was withdrawn",
};
const TOO_MANY: AskAnswer = {
  allowed: false,
  code: "ask-too-many",
  why: "too many questions to the operator are open, or were asked lately",
  hint: "wait until some are answered",
};
