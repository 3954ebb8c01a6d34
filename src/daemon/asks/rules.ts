// SPDX-License-Identifier: Apache-2.0

/** Decisions that hold for a while: in force beside the policy, until their time or an operator ends them. */
import { authorityOf, type Target } from "../../lib/authority.ts";
import type { Clock } from "../../lib/clock.ts";
import type { TemporaryRule } from "./types.ts";

const MAX_RULES = 512;

export class TemporaryRules {
  readonly #clock: Clock;
  readonly #onChange: (principal: string) => void;
  readonly #rules = new Map<string, TemporaryRule>();
  #timer = new AbortController();

  /** @param onChange also called when one runs out */
  constructor(clock: Clock, onChange: (principal: string) => void) {
    this.#clock = clock;
    this.#onChange = onChange;
  }

  get all(): readonly TemporaryRule[] {
    return [...this.#rules.values()];
  }

  /** Those of one principal that hold now. */
  of(principal: string): readonly TemporaryRule[] {
    const now = this.#clock.now();
    return this.all.filter((rule) => rule.principal === principal && rule.until > now);
  }

  find(principal: string, target: Target): TemporaryRule | null {
    const rule = this.#rules.get(keyOf(principal, target));
    return rule !== undefined && rule.until > this.#clock.now() ? rule : null;
  }

  /** In the place of an earlier one about the same destination. @returns false when there are too many */
  set({ principal, host, port, allowed, until, by }: TemporaryRule): boolean {
    const key = keyOf(principal, { host, port });
    if (!this.#rules.has(key) && this.#rules.size >= MAX_RULES) return false;
    this.#rules.set(key, { principal, host, port, allowed, until, by });
    this.#arm();
    this.#onChange(principal);
    return true;
  }

  /** @returns whether there was one */
  remove(principal: string, target: Target): boolean {
    const removed = this.#rules.delete(keyOf(principal, target));
    if (removed) this.#onChange(principal);
    return removed;
  }

  forget(principal: string): void {
    let changed = false;
    for (const [key, rule] of this.#rules) {
      if (rule.principal === principal) changed = this.#rules.delete(key) || changed;
    }
    if (changed) this.#onChange(principal);
  }

  /** Of an earlier life: what has run out meanwhile is gone. */
  restore(rules: readonly TemporaryRule[]): void {
    const now = this.#clock.now();
    for (const rule of rules.slice(0, MAX_RULES)) {
      if (rule.until > now) this.#rules.set(keyOf(rule.principal, rule), rule);
    }
    this.#arm();
  }

  close(): void {
    this.#timer.abort();
  }

  /** One timer, for the rule that runs out first. */
  #arm(): void {
    this.#timer.abort();
    const next = Math.min(...this.all.map(({ until }) => until));
    if (!Number.isFinite(next)) return;
    const timer = this.#timer = new AbortController();
    this.#clock.sleep(Math.max(0, next - this.#clock.now()), timer.signal).then(
      () => this.#expire(),
      () => {},
    );
  }

  #expire(): void {
    const now = this.#clock.now();
    const ended = new Set<string>();
    for (const [key, rule] of this.#rules) {
      if (rule.until > now) continue;
      this.#rules.delete(key);
      ended.add(rule.principal);
    }
    this.#arm();
    for (const principal of ended) this.#onChange(principal);
  }
}

function keyOf(principal: string, target: Target): string {
  return `${principal} ${authorityOf(target)}`;
}
