// SPDX-License-Identifier: Apache-2.0

/**
 * A principal's budgets: what its model requests took in this run, the last hour and the last day, and the
 * refusal of the next one when a cap is reached. What a request takes is known at its end, so those that are
 * open when a cap is reached go on: the cap is passed by at most what they take.
 */
import type { BudgetCap, Budgets } from "../../lib/schema/events.ts";
import { priceOf } from "../../lib/prices.ts";
import type { BudgetState, SpentUsage } from "../api.ts";
import { ProxyError } from "../errors.ts";
import { isUncountable, type ModelProtocol, modelProtocol, type Usage } from "./usage.ts";

interface Totals {
  readonly input: number;
  readonly output: number;
  /** US dollars. */
  readonly cost: number;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;
const WINDOWS = { hour: 60, day: DAY_MINUTES } as const;
/** A daemon that is away hears of no more than this many. */
const MAX_UNTOLD = 1_000;

interface Counted {
  readonly usage: SpentUsage;
  /** Since the epoch. */
  readonly minute: number;
}

type Window = "run" | "hour" | "day";
type Sum = { input: number; output: number; cost: number };

export class BudgetMeter {
  readonly #now: () => number;
  #budgets: Budgets | undefined;
  /** With caps, nothing may pass before the daemon has said what was taken already. */
  #told: boolean;
  #run: Sum = { input: 0, output: 0, cost: 0 };
  #minutes = new Map<number, Sum>();
  readonly #untold: Counted[] = [];
  /** Said to the present listener, the newest at most; and how many before them. */
  #said: Counted[] = [];
  #forgotten = 0;
  #listener: ((usage: readonly SpentUsage[]) => void) | null = null;

  constructor(budgets: Budgets | undefined, now: () => number) {
    this.#budgets = budgets;
    this.#now = now;
    this.#told = budgets === undefined;
  }

  /** From the daemon: the caps from now on, and what was taken up to now. */
  tell({ budgets, spent, heard }: BudgetState): void {
    this.#budgets = budgets ?? undefined;
    this.#told = true;
    this.#run = { ...spent.run };
    this.#minutes = new Map(spent.minutes.map(([minute, totals]) => [minute, { ...totals }]));
    // What it had not heard of when it said this is not in what it says.
    const onTheWay = this.#said.slice(Math.max(0, heard - this.#forgotten));
    for (const counted of [...onTheWay, ...this.#untold]) this.#count(counted);
  }

  /**
   * @returns the protocol of a request whose answer is to be read, null for any other
   * @throws {ProxyError} `budget-exhausted` 429, `budget-unknown` 503, `uncountable` 403
   */
  require(method: string, target: string): ModelProtocol | null {
    const protocol = modelProtocol(method, target);
    if (this.#budgets === undefined) return protocol;
    if (isUncountable(method, target)) {
      throw new ProxyError(
        "uncountable",
        "Cannot send a batch: what it takes could not be counted against this agent's budget",
        { status: 403, hint: "send single requests, or ask an operator to take the budget away" },
      );
    }
    if (protocol === null) return null;
    if (!this.#told) {
      throw new ProxyError(
        "budget-unknown",
        "Cannot send a model request: the daemon has not said yet what was spent",
        {
          status: 503,
          hint: "repeat it in a second; `bureau status` shows whether the daemon runs",
        },
      );
    }
    for (const window of ["run", "hour", "day"] as const) {
      const cap = this.#budgets[window];
      if (cap !== undefined) this.#requireWithin(window, cap);
    }
    return protocol;
  }

  #requireWithin(window: Window, cap: BudgetCap): void {
    const sum = this.#sum(window);
    const limits: [string, number | undefined, number][] = [
      ["tokens", cap.tokens, sum.input + sum.output],
      ["input_tokens", cap.input_tokens, sum.input],
      ["output_tokens", cap.output_tokens, sum.output],
      ["cost_usd", cap.cost_usd, sum.cost],
    ];
    for (const [name, limit, taken] of limits) {
      if (limit === undefined || taken < limit) continue;
      const shown = name === "cost_usd" ? `$${limit}` : `${limit} ${name.replace("_", " ")}`;
      throw new BudgetError(`budgets.${window}.${name}`, shown, window, this.#waitFor(window));
    }
  }

  /** Seconds until the oldest minute leaves the window; null: not in this run. */
  #waitFor(window: Window): number | null {
    if (window === "run") return null;
    const now = this.#now() / MINUTE_MS;
    const from = Math.floor(now) - WINDOWS[window] + 1;
    const oldest = [...this.#minutes.keys()].filter((minute) => minute >= from)
      .reduce((least, minute) => Math.min(least, minute), Math.floor(now));
    return Math.max(1, Math.ceil((oldest + WINDOWS[window] - now) * 60));
  }

  #sum(window: Window): Sum {
    if (window === "run") return this.#run;
    const from = Math.floor(this.#now() / MINUTE_MS) - WINDOWS[window] + 1;
    const sum = { input: 0, output: 0, cost: 0 };
    for (const [minute, totals] of this.#minutes) {
      if (minute >= from) add(sum, totals);
    }
    return sum;
  }

  /** An answer has been read. */
  add(usage: Usage): void {
    const { price, known } = priceOf(usage.model, this.#budgets?.prices);
    const cost = (usage.input * price.input + usage.output * price.output +
      usage.cacheRead * price.cache_read + usage.cacheWrite * price.cache_write) / 1_000_000;
    const spent: SpentUsage = { ...usage, cost, priced: known };
    const counted = { usage: spent, minute: Math.floor(this.#now() / MINUTE_MS) };
    this.#count(counted);
    if (this.#listener !== null) return this.#say([counted]);
    if (this.#untold.length < MAX_UNTOLD) this.#untold.push(counted);
  }

  #count({ usage, minute }: Counted): void {
    const totals = totalsOf(usage);
    add(this.#run, totals);
    const known = this.#minutes.get(minute);
    if (known !== undefined) return add(known, totals);
    this.#minutes.set(minute, { ...totals });
    for (const old of this.#minutes.keys()) {
      if (old <= minute - DAY_MINUTES) this.#minutes.delete(old);
    }
  }

  #say(counted: readonly Counted[]): void {
    this.#said.push(...counted);
    const surplus = this.#said.length - MAX_UNTOLD;
    if (surplus > 0) {
      this.#said = this.#said.slice(surplus);
      this.#forgotten += surplus;
    }
    this.#listener?.(counted.map(({ usage }) => usage));
  }

  /** One listener, the newest; it hears at once what nobody has heard. @returns the unsubscriber */
  listen(listener: (usage: readonly SpentUsage[]) => void): () => void {
    this.#listener = listener;
    this.#said = [];
    this.#forgotten = 0;
    if (this.#untold.length > 0) this.#say(this.#untold.splice(0));
    return () => {
      if (this.#listener === listener) this.#listener = null;
    };
  }
}

/** Tokens from a cache are read too: a cap in tokens counts them. */
function totalsOf(usage: SpentUsage): Totals {
  return {
    input: usage.input + usage.cacheRead + usage.cacheWrite,
    output: usage.output,
    cost: usage.cost,
  };
}

function add(sum: Sum, totals: Totals): void {
  sum.input += totals.input;
  sum.output += totals.output;
  sum.cost += totals.cost;
}

/** In the form that the providers' own SDKs read; `x-should-retry` keeps them from trying again. */
export class BudgetError extends ProxyError {
  constructor(rule: string, shown: string, window: Window, waitSeconds: number | null) {
    const span = window === "run" ? "of this run" : `of the last ${window}`;
    super(
      "budget-exhausted",
      `Cannot send the request: the budget ${span} (${shown}) is used up, by ${rule}`,
      {
        status: 429,
        hint: waitSeconds === null
          ? "an operator can raise it in the template or the assignment"
          : `the first of it is free again in ${waitSeconds} s; an operator can raise it`,
      },
    );
    this.waitSeconds = waitSeconds;
  }

  readonly waitSeconds: number | null;

  override toBody() {
    const { error } = super.toBody();
    // Anthropic's clients look at `type`, OpenAI's at `error.code` and `error.type`.
    return { type: "error", error: { ...error, type: "rate_limit_error" } };
  }

  override headers(): Record<string, string> {
    return {
      "x-should-retry": "false",
      ...(this.waitSeconds === null ? {} : { "retry-after": String(this.waitSeconds) }),
    };
  }
}
