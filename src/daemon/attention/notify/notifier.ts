// SPDX-License-Identifier: Apache-2.0

/** Tells people of agents that need them, wherever the machine's file says. */
import type { Clock } from "../../../lib/clock.ts";
import type { Logger } from "../../../lib/log.ts";
import { DaemonError } from "../../errors.ts";
import type { AttentionDesk } from "../desk.ts";
import type { DeliveryOptions } from "./deliver.ts";
import type { Candidate } from "./plan.ts";
import type { NotifyStore } from "./store.ts";
import { Teller } from "./teller.ts";
import type { NotifyTarget, NotifyTestAnswer, NotifyView } from "./types.ts";

const LOOK_MS = 250;

export interface NotifierOptions {
  readonly targets: readonly NotifyTarget[];
  readonly desk: AttentionDesk;
  /** What a target may choose agents by. */
  readonly about: (
    principal: string,
  ) => { readonly template: string; readonly room: string | null };
  readonly store: NotifyStore;
  readonly delivery: Omit<DeliveryOptions, "now" | "signal">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #stop = new AbortController();
  #tellers: readonly Teller[] = [];
  #leave = () => {};
  #looks = false;

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier life left. To be called once what it delivers through is there. */
  async start(): Promise<void> {
    const { targets, desk, clock, log, delivery, random = Math.random, store } = this.#options;
    if (targets.length === 0) return;
    const { targets: known } = await store.load();
    if (this.#stop.signal.aborted) return;
    const save = () =>
      store.save({
        version: 1,
        targets: Object.fromEntries(this.#tellers.map(({ target, state }) => [target.name, state])),
      });
    const candidates = () => this.#candidates();
    const signal = this.#stop.signal;
    this.#tellers = targets.map((target) =>
      new Teller({
        target,
        state: known[target.name],
        ...{ candidates, save, delivery, clock, random, log, signal },
      })
    );
    this.#leave = desk.listen((principal, now) => {
      if (now === null) { for (const teller of this.#tellers) teller.forget(principal); }
      this.#lookSoon();
    });
    for (const teller of this.#tellers) teller.look();
  }

  /** A hundred agents that write at once are one look. */
  #lookSoon(): void {
    if (this.#looks) return;
    this.#looks = true;
    this.#options.clock.sleep(LOOK_MS, this.#stop.signal).then(() => {
      this.#looks = false;
      for (const teller of this.#tellers) teller.look();
    }, () => {});
  }

  get view(): readonly NotifyView[] {
    return this.#tellers.map(({ view }) => view);
  }

  /** @throws {DaemonError} `no-such-target` */
  async test(name: string | undefined): Promise<NotifyTestAnswer> {
    const tellers = this.#tellers.filter(({ target }) =>
      name === undefined || target.name === name
    );
    if (tellers.length === 0) {
      throw new DaemonError(
        "no-such-target",
        name === undefined
          ? "Cannot test notifications: there is nobody to tell"
          : `Cannot test "${name.slice(0, 64)}": there is no such target`,
        { status: 404, hint: "`notify:` in bureau.yaml names them; see docs/guide/attention.md" },
      );
    }
    const results = await Promise.all(tellers.map(async (teller) => {
      const outcome = await teller.test();
      const why = outcome.kind === "done" ? null : outcome.why;
      return { name: teller.target.name, ok: outcome.kind === "done", why };
    }));
    return { results };
  }

  close(): void {
    this.#leave();
    this.#stop.abort();
    for (const teller of this.#tellers) teller.close();
  }

  *#candidates(): Iterable<Candidate> {
    for (const now of this.#options.desk.all) {
      yield { ...now, ...this.#options.about(now.principal) };
    }
  }
}
