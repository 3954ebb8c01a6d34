// SPDX-License-Identifier: Apache-2.0

/** One principal's attention over time: what is known of it now, and since when it is as it is. */
import type { Clock } from "../../lib/clock.ts";
import type { PrincipalView } from "../api.ts";
import type { Attention } from "./api.ts";
import { decide, type Facts, IDLE_AFTER_MS, type Said, type Verdict } from "./decide.ts";
import type { HeardActivity } from "./link.ts";

/** A relay that is made anew is heard again soon: meanwhile what it said last holds. */
const HOLD_MS = 20_000;

export interface Tracked {
  readonly principal: string;
  readonly attention: Attention;
  readonly last_line: string;
  /** Tells one such state from the next. */
  readonly what: string;
  /** When a watcher last typed into its terminal. */
  readonly typed: number | null;
}

const UNKNOWN: Facts = {
  phase: "pending",
  phaseSince: 0,
  exitCode: null,
  message: null,
  isCrashLoop: false,
  isFrozen: false,
  asks: [],
  calls: [],
  said: null,
  activity: null,
  idleAfterMs: IDLE_AFTER_MS,
};

export class Tracker {
  readonly principal: string;
  readonly #clock: Clock;
  readonly #onChange: (now: Tracked) => void;
  #facts: Facts = UNKNOWN;
  #watched = false;
  #verdict: Verdict | null = null;
  #unseen = true;
  #since = 0;
  #timer = new AbortController();
  #hold = new AbortController();

  /** @param onChange after anything that a list shows has changed */
  constructor(principal: string, clock: Clock, onChange: (now: Tracked) => void) {
    this.principal = principal;
    this.#clock = clock;
    this.#onChange = onChange;
  }

  /** What the daemon knows of its life. */
  setLife(
    view: PrincipalView,
    isCrashLoop: boolean,
    startedAt: number | null,
    idleAfterMs: number,
  ) {
    const { said } = this.#facts;
    this.#watched = view.watchers > 0;
    this.#set({
      phase: view.phase,
      phaseSince: view.since,
      exitCode: view.exit_code,
      message: view.message,
      isFrozen: view.frozen === true,
      isCrashLoop,
      idleAfterMs,
      // Another program: what the last one said is void, and its proxy is another too.
      ...(said !== null && startedAt !== null && said.at < startedAt ? { said: null } : {}),
    });
  }

  setAsks(asks: Facts["asks"]): void {
    if (asks.length === 0 && this.#facts.asks.length === 0) return;
    this.#set({ asks });
  }

  setCalls(calls: Facts["calls"]): void {
    if (calls.length === 0 && this.#facts.calls.length === 0) return;
    this.#set({ calls });
  }

  setSaid(said: Said): void {
    this.#set({ said });
  }

  setActivity(activity: HeardActivity | null): void {
    this.#hold.abort();
    if (activity !== null) return this.#set({ activity });
    this.#hold = new AbortController();
    this.#clock.sleep(HOLD_MS, this.#hold.signal).then(
      () => this.#set({ activity: null }),
      () => {},
    );
  }

  /** Its terminal is another one, or none. */
  forgetActivity(): void {
    this.#hold.abort();
    if (this.#facts.activity !== null) this.#set({ activity: null });
  }

  /** Somebody watches it now. */
  seen(): void {
    if (!this.#unseen) return;
    this.#unseen = false;
    if (this.#verdict !== null) this.#onChange(this.present!);
  }

  close(): void {
    this.#timer.abort();
    this.#hold.abort();
  }

  /** Null: nothing is known yet. */
  get present(): Tracked | null {
    const verdict = this.#verdict;
    if (verdict === null) return null;
    const { state, reason, message, what } = verdict;
    return {
      principal: this.principal,
      attention: { state, since: Math.trunc(this.#since), reason, message, unseen: this.#unseen },
      last_line: this.#facts.activity?.last_line ?? "",
      what,
      typed: this.#facts.activity?.typed ?? null,
    };
  }

  #set(change: Partial<Facts>): void {
    const before = this.#facts.activity?.last_line;
    this.#facts = { ...this.#facts, ...change };
    this.#decide(before !== this.#facts.activity?.last_line);
  }

  #decide(isNews: boolean): void {
    const now = this.#clock.now();
    const last = this.#verdict;
    const next = this.#verdict = decide(this.#facts, now);
    this.#timer.abort();
    if (next.until !== null) this.#wake(Math.max(0, next.until - now));
    const isOther = last === null || last.state !== next.state || last.what !== next.what;
    if (isOther) {
      // What began to work again did so now, not when it was started.
      const isResumed = last !== null && next.state === "working";
      this.#since = isResumed ? now : Math.min(now, next.since);
      this.#unseen = !this.#watched;
    }
    const isChanged = isOther || isNews || last.reason !== next.reason ||
      last.message !== next.message;
    if (isChanged) this.#onChange(this.present!);
  }

  #wake(ms: number): void {
    const timer = this.#timer = new AbortController();
    this.#clock.sleep(ms, timer.signal).then(() => this.#decide(false), () => {});
  }
}
