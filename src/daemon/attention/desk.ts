// SPDX-License-Identifier: Apache-2.0

/** Every principal's attention on this machine, and who listens to it. */
import type { Clock } from "../../lib/clock.ts";
import type { Approval } from "../../lib/approval/mod.ts";
import type { AskView } from "../api.ts";
import type { ManagedPrincipal } from "../principal.ts";
import { isBroken } from "../reconcile.ts";
import type { Attention, AttentionEvent } from "./api.ts";
import { IDLE_AFTER_MS, type Said } from "./decide.ts";
import { ActivityLink, line } from "./link.ts";
import { type Tracked, Tracker } from "./tracker.ts";

/** What comes within it is told at once. */
const GATHER_MS = 200;

export interface AttentionOptions {
  readonly runDir: string;
  readonly clock: Clock;
}

export class AttentionDesk {
  readonly #options: AttentionOptions;
  readonly #known = new Map<
    string,
    { tracker: Tracker; key: string; link: ActivityLink | null; needed: string | null }
  >();
  readonly #listeners = new Set<(principal: string, now: Tracked | null) => void>();
  #asks: readonly AskView[] = [];
  #calls: readonly Approval[] = [];
  #closed = false;

  constructor(options: AttentionOptions) {
    this.#options = options;
  }

  /** Something about it may have changed. */
  look(principal: ManagedPrincipal): void {
    if (this.#closed) return;
    const { localpart, status, evaluation, memory } = principal;
    const known = this.#ensure(localpart);
    const settings = evaluation.template?.attention;
    const waiting = settings?.waiting ?? [];
    const idleAfter = settings?.idle_after_seconds;
    const view = principal.view();
    known.tracker.setLife(
      view,
      isBroken(evaluation.desired, memory) && view.phase === "failed",
      status?.started_at ?? null,
      idleAfter === undefined ? IDLE_AFTER_MS : idleAfter * 1_000,
    );
    // A cell made anew has a new terminal, even when the end of the old one was not seen.
    const key = principal.isLive ? `${status!.hash}:${status!.started_at}` : "";
    if (known.key !== key) {
      known.key = key;
      known.link?.close();
      known.link = null;
      known.tracker.forgetActivity();
      if (key !== "") {
        known.link = new ActivityLink({
          socket: `${this.#options.runDir}/p/${status!.hash}/observe/relay.sock`,
          waiting,
          clock: this.#options.clock,
          onActivity: (activity) => known.tracker.setActivity(activity),
        });
      }
    }
    known.link?.setWaiting(waiting);
  }

  /** It is gone for good. */
  forget(localpart: string): void {
    const known = this.#known.get(localpart);
    if (known === undefined) return;
    known.link?.close();
    known.tracker.close();
    this.#known.delete(localpart);
    for (const listener of this.#listeners) listener(localpart, null);
  }

  /** By its proxy, hence from a cell. */
  said(localpart: string, { state, message, at }: Said): void {
    if (this.#closed) return;
    const text = message === null ? null : line(message);
    this.#ensure(localpart).tracker.setSaid({
      state,
      message: text,
      // What is said to be of the future would hold for ever.
      at: Math.min(at, this.#options.clock.now()),
    });
  }

  /** All that are open. */
  setAsks(pending: readonly AskView[]): void {
    this.#asks = pending;
    for (const { tracker } of this.#known.values()) tracker.setAsks(this.#asksOf(tracker));
  }

  /** All calls that wait for leave. */
  setCalls(pending: readonly Approval[]): void {
    this.#calls = pending;
    for (const { tracker } of this.#known.values()) tracker.setCalls(this.#callsOf(tracker));
  }

  /** Somebody watches it. */
  seen(localpart: string): void {
    this.#known.get(localpart)?.tracker.seen();
  }

  /** For a list of principals. */
  of(localpart: string): { attention?: Attention; last_line?: string } {
    const now = this.#known.get(localpart)?.tracker.present ?? null;
    return now === null ? {} : { attention: now.attention, last_line: now.last_line };
  }

  get all(): readonly Tracked[] {
    return [...this.#known.values()].flatMap(({ tracker }) => tracker.present ?? []);
  }

  /** @param listener null: it is gone. @returns the unsubscriber */
  listen(listener: (principal: string, now: Tracked | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Everything at once, and then what changes.
   * @param may whether this one may be shown; asked each time, for rights end
   */
  follow(
    may: (principal: string) => boolean,
    send: (event: AttentionEvent) => void,
  ): () => void {
    const shown = new Set<string>();
    const dirty = new Set<string>();
    const stop = new AbortController();
    let waits = false;
    const tell = (all: boolean, names: Iterable<string>) => {
      const principals: AttentionEvent["principals"] = [];
      const gone: string[] = [];
      for (const name of names) {
        const now = may(name) ? this.#known.get(name)?.tracker.present ?? null : null;
        if (now !== null) {
          shown.add(name);
          const { principal, attention, last_line } = now;
          principals.push({ principal, attention, last_line });
        } else if (shown.delete(name)) gone.push(name);
      }
      if (all || principals.length > 0 || gone.length > 0) send({ all, principals, gone });
    };
    tell(true, this.#known.keys());
    const leave = this.listen((principal) => {
      dirty.add(principal);
      if (waits) return;
      waits = true;
      this.#options.clock.sleep(GATHER_MS, stop.signal).then(() => {
        waits = false;
        const names = [...dirty];
        dirty.clear();
        tell(false, names);
      }, () => {});
    });
    return () => {
      stop.abort();
      leave();
    };
  }

  close(): void {
    this.#closed = true;
    for (const { tracker, link } of this.#known.values()) {
      link?.close();
      tracker.close();
    }
    this.#known.clear();
    this.#listeners.clear();
  }

  #asksOf({ principal }: Tracker) {
    return this.#asks.filter((ask) => ask.principal === principal)
      .map(({ since, host, port }) => ({ since, target: line(`${host}:${port}`) }));
  }

  #callsOf({ principal }: Tracker) {
    return this.#calls.filter(({ asker }) => asker === principal)
      .map(({ since, tool, resource }) => ({ since, target: line(`${tool}: ${resource}`) }));
  }

  /** Its recording can be played from where it needed somebody. */
  #mark(localpart: string, { attention: { state, reason } }: Tracked): void {
    const known = this.#known.get(localpart);
    if (known === undefined) return;
    const needed = state === "waiting-input" || state === "waiting-approval"
      ? `needs a person: waits for ${state.slice("waiting-".length)} (${reason})`
      : null;
    if (needed !== null && needed !== known.needed) known.link?.mark(needed);
    known.needed = needed;
  }

  #ensure(localpart: string) {
    let known = this.#known.get(localpart);
    if (known === undefined) {
      const tracker = new Tracker(localpart, this.#options.clock, (now) => {
        this.#mark(localpart, now);
        for (const listener of this.#listeners) listener(localpart, now);
      });
      known = { tracker, key: "", link: null, needed: null };
      this.#known.set(localpart, known);
      tracker.setAsks(this.#asksOf(tracker));
      tracker.setCalls(this.#callsOf(tracker));
    }
    return known;
  }
}
