// SPDX-License-Identifier: Apache-2.0

/** One target: gathers what it is to be told of, keeps it until it is delivered. */
import type { Clock } from "../../../lib/clock.ts";
import type { Logger } from "../../../lib/log.ts";
import { deliver, type DeliveryOptions, type Outcome } from "./deliver.ts";
import { eventOf } from "./message.ts";
import { BETWEEN_MS, type Candidate, GATHER_MS, type Memory, plan } from "./plan.ts";
import { quietForMs } from "./quiet.ts";
import type { Message, NotifyTarget, NotifyView, TargetState } from "./types.ts";

/** What is not delivered; then the oldest are dropped. */
export const MAX_QUEUE = 100;
/** What nobody took for so long is no news. */
const MAX_AGE_MS = 24 * 60 * 60_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 5 * 60_000;

export interface TellerOptions {
  readonly target: NotifyTarget;
  readonly state: TargetState | undefined;
  /** Every principal that is known now. */
  readonly candidates: () => Iterable<Candidate>;
  /** Resolves when what `state` says is on disk. */
  readonly save: () => Promise<void>;
  readonly delivery: Omit<DeliveryOptions, "now" | "signal">;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class Teller {
  readonly target: NotifyTarget;
  readonly #options: TellerOptions;
  readonly #told: Map<string, Memory>;
  #queue: Message[];
  #gatherUntil: number | null = null;
  #lastAt = 0;
  #last: NotifyView["last"] = null;
  #timer = new AbortController();
  #delivering = false;
  /** Wakes a delivery that waits. */
  #retry = new AbortController();

  constructor(options: TellerOptions) {
    this.#options = options;
    this.target = options.target;
    this.#told = new Map(
      Object.entries(options.state?.told ?? {})
        .map(([name, told]) => [name, { ...told, otherSince: null }]),
    );
    this.#queue = [...options.state?.queue ?? []];
    this.#deliverAll();
  }

  get state(): TargetState {
    return {
      told: Object.fromEntries(
        [...this.#told].map(([name, { otherSince: _, ...told }]) => [name, told]),
      ),
      queue: this.#queue,
    };
  }

  get view(): NotifyView {
    const { name, kind, url, states, quiet_hours, time_zone } = this.target;
    const now = this.#options.clock.now();
    return {
      name,
      kind,
      where: url === undefined ? "config room" : url.replace(/\?.*$/, ""),
      states,
      waiting: this.#queue.length,
      told: this.#told.size,
      quiet_now: quietForMs(quiet_hours, time_zone, now) > 0,
      last: this.#last,
    };
  }

  /** Some principal's attention has changed, or time has passed. */
  look(): void {
    const { clock, signal } = this.#options;
    if (signal.aborted) return;
    const now = clock.now();
    const { due, forget, wake } = plan(this.target, this.#options.candidates(), this.#told, now);
    for (const name of forget) this.#told.delete(name);
    if (forget.length > 0 && due.length === 0) void this.#options.save();
    let next = wake;
    if (due.length === 0) this.#gatherUntil = null;
    else {
      // Time that was set back must not silence anybody.
      const between = this.#lastAt > now ? now : this.#lastAt + BETWEEN_MS;
      this.#gatherUntil ??= Math.max(now + GATHER_MS, between);
      if (now >= this.#gatherUntil) this.#tell(due, now);
      else next = Math.min(next ?? Infinity, this.#gatherUntil);
    }
    this.#timer.abort();
    if (next === null) return;
    this.#timer = new AbortController();
    const wait = Math.max(0, next - now);
    clock.sleep(wait, AbortSignal.any([this.#timer.signal, signal])).then(
      () => this.look(),
      () => {},
    );
  }

  /** It is gone for good; a namesake is told of anew. */
  forget(principal: string): void {
    if (this.#told.delete(principal)) void this.#options.save();
  }

  /** One try, apart from what waits. */
  async test(): Promise<Outcome> {
    const now = this.#options.clock.now();
    const message = { id: crypto.randomUUID(), at: now, events: [], attempts: 0, next_at: now };
    const outcome = await this.#try(message);
    this.#remember(outcome);
    return outcome;
  }

  close(): void {
    this.#timer.abort();
    this.#retry.abort();
  }

  #tell(due: readonly Candidate[], now: number): void {
    this.#gatherUntil = null;
    this.#lastAt = now;
    for (const { principal, attention, what } of due) {
      this.#told.set(principal, { state: attention.state, what, at: now, otherSince: null });
    }
    const events = due.map((one) => eventOf(one, this.target.include_text));
    this.#queue.push({ id: crypto.randomUUID(), at: now, events, attempts: 0, next_at: now });
    if (this.#queue.length > MAX_QUEUE) {
      const dropped = this.#queue.length - MAX_QUEUE;
      this.#queue = this.#queue.slice(dropped);
      this.#options.log.warn("notifications dropped", { target: this.target.name, dropped });
    }
    // Written down before it is sent: a daemon that is killed in between sends it, once.
    this.#options.save().then(() => this.#deliverAll());
  }

  async #deliverAll(): Promise<void> {
    if (this.#delivering) return;
    this.#delivering = true;
    const { clock, signal } = this.#options;
    try {
      while (this.#queue.length > 0 && !signal.aborted) {
        const message = this.#queue[0]!;
        const wait = message.next_at - clock.now();
        // A clock that was set back is no reason to wait longer than ever.
        if (wait > 0) await this.#sleep(Math.min(wait, RETRY_MAX_MS * 12));
        if (signal.aborted) return;
        await this.#deliverOne(message);
      }
    } finally {
      this.#delivering = false;
    }
  }

  async #deliverOne(message: Message): Promise<void> {
    const { clock, log, random, save, signal } = this.#options;
    const outcome = await this.#try(message);
    if (signal.aborted && outcome.kind === "later") return;
    this.#remember(outcome);
    const at = this.#queue.indexOf(message);
    if (at < 0) return;
    const now = clock.now();
    const isOld = now - message.at > MAX_AGE_MS;
    if (outcome.kind === "later" && !isOld) {
      const attempts = message.attempts + 1;
      const most = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempts - 1, 20));
      const backoff = outcome.afterMs ?? most / 2 + random() * most / 2;
      this.#queue[at] = { ...message, attempts, next_at: Math.ceil(now + backoff) };
      if (attempts === 1) {
        log.warn("notification waits", { target: this.target.name, why: outcome.why });
      }
    } else {
      this.#queue.splice(at, 1);
      if (outcome.kind !== "done") {
        log.error("notification dropped", { target: this.target.name, why: outcome.why });
      }
    }
    await save();
  }

  #try(message: Message): Promise<Outcome> {
    const { clock, delivery, signal } = this.#options;
    return deliver(this.target, message, { ...delivery, now: () => clock.now(), signal });
  }

  #remember(outcome: Outcome): void {
    const ok = outcome.kind === "done";
    const why = outcome.kind === "done" ? null : outcome.why;
    this.#last = { at: this.#options.clock.now(), ok, why };
  }

  async #sleep(ms: number): Promise<void> {
    this.#retry = new AbortController();
    const signal = AbortSignal.any([this.#retry.signal, this.#options.signal]);
    await this.#options.clock.sleep(ms, signal).catch(() => {});
  }
}
