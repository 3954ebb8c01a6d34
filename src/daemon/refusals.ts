// SPDX-License-Identifier: Apache-2.0

/**
 * What agents were refused, told to operators: the first of its kind at once, then how often, every ten
 * minutes at most. However many names an agent makes up, the room and the memory stay small.
 */
import { authorityOf, type Target } from "../lib/authority.ts";
import type { Clock } from "../lib/clock.ts";
import { noticePart } from "../lib/schema/mod.ts";
import { accountOf } from "./account.ts";

export interface Refused {
  /** Full localpart. */
  readonly principal: string;
  readonly target: Target;
  readonly code: string;
  /** How many at once; default 1. */
  readonly count?: number;
}

export interface RefusalsOptions {
  readonly clock: Clock;
  /** Says a notice to operators; the second is for programs. */
  readonly say: (body: string, content: Record<string, unknown>) => void;
}

const WINDOW_MS = 10 * 60_000;
/** Destinations of one principal that are told at once within a window; the rest is told in its sum. */
const MAX_FIRST = 5;
/** Destinations of one principal that are counted by name. */
const MAX_NAMED = 64;
const MAX_PRINCIPALS = 1_024;
/** Named in one notice. */
const MAX_SHOWN = 10;

interface Entry {
  readonly target: Target;
  code: string;
  /** Since it was last told of. */
  count: number;
}

interface Window {
  readonly named: Map<string, Entry>;
  /** Told at once in this window. */
  first: number;
  /** Beyond what is counted by name. */
  others: number;
  readonly timer: AbortController;
}

export class RefusalNotices {
  readonly #options: RefusalsOptions;
  readonly #windows = new Map<string, Window>();

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  take({ principal, target, code, count = 1 }: Refused): void {
    const window = this.#windows.get(principal) ?? this.#open(principal);
    if (window === null) return;
    const key = `${target.host} ${target.port}`;
    const known = window.named.get(key);
    if (known !== undefined) {
      known.count += count;
      known.code = code;
      return;
    }
    if (window.named.size >= MAX_NAMED) {
      window.others += count;
      return;
    }
    const entry: Entry = { target, code, count };
    window.named.set(key, entry);
    if (window.first >= MAX_FIRST) return;
    window.first++;
    this.#tell(principal, [entry], 0, "was refused");
    entry.count = 0;
  }

  close(): void {
    for (const { timer } of this.#windows.values()) timer.abort();
    this.#windows.clear();
  }

  #open(principal: string): Window | null {
    if (this.#windows.size >= MAX_PRINCIPALS) return null;
    const window: Window = {
      named: new Map(),
      first: 0,
      others: 0,
      timer: new AbortController(),
    };
    this.#windows.set(principal, window);
    this.#wait(principal, window);
    return window;
  }

  #wait(principal: string, window: Window): void {
    this.#options.clock.sleep(WINDOW_MS, window.timer.signal).then(
      () => this.#sum(principal, window),
      () => {},
    );
  }

  /** Ends a window. What was still refused in it stays known; what was not is news when it comes again. */
  #sum(principal: string, window: Window): void {
    const again = [...window.named.values()].filter(({ count }) => count > 0);
    if (again.length === 0 && window.others === 0) {
      this.#windows.delete(principal);
      return;
    }
    again.sort((a, b) => b.count - a.count);
    this.#tell(principal, again, window.others, "was refused in the last 10 minutes");
    for (const [key, entry] of window.named) {
      if (entry.count === 0) window.named.delete(key);
      else entry.count = 0;
    }
    window.first = 0;
    window.others = 0;
    this.#wait(principal, window);
  }

  #tell(principal: string, entries: readonly Entry[], others: number, verb: string): void {
    const shown = entries.slice(0, MAX_SHOWN);
    const rest = entries.slice(MAX_SHOWN).reduce((sum, { count }) => sum + count, others);
    const list = shown.map(({ target, code, count }) =>
      `${authorityOf(target)}${count > 1 ? ` ×${count}` : ""} (${code})`
    );
    if (rest > 0) list.push(`others ×${rest}`);
    const account = accountOf(principal);
    const [only] = shown;
    const hint = entries.length === 1 && others === 0 && only !== undefined
      ? `. To allow it: bureau egress allow ${account} ${authorityOf(only.target)}`
      : `. The policy: bureau egress show ${account}`;
    const part = noticePart("egress_refused", {
      principal,
      destinations: shown.map(({ target, code, count }) => ({ ...target, code, count })),
      others: rest,
    });
    this.#options.say(`${account} ${verb}: ${list.join(", ")}${hint}`, part);
  }
}
