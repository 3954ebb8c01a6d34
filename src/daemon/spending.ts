// SPDX-License-Identifier: Apache-2.0

/**
 * What each principal's model requests took, kept over the deaths of proxies and daemons: one small file a
 * principal in `<state>/daemon/spending/`, written at most once a second. A SIGKILL loses that second.
 */
import * as z from "zod/mini";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { principalHash } from "../lib/ref/mod.ts";
import { type BudgetCap, type Budgets, noticePart } from "../lib/schema/mod.ts";
import type { BudgetState, SpentUsage } from "../proxy/api.ts";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;
const SAVE_MS = 1_000;
/** Names come out of answers: an upstream that makes them up is not to fill our disk. */
const MAX_MODELS = 100;
const OTHERS = "(others)";

const Sum = z.object({ input: z.number(), output: z.number(), cost: z.number() });
type Sum = z.infer<typeof Sum>;

const ModelSum = z.object({
  requests: z.number(),
  input: z.number(),
  output: z.number(),
  cache_read: z.number(),
  cache_write: z.number(),
  cost: z.number(),
  /** Answers that did not say what they took. */
  estimated: z.number(),
  /** Answers of models whose price is not known. */
  unpriced: z.number(),
});
export type ModelSum = z.infer<typeof ModelSum>;

const Saved = z.object({
  version: z.literal(1),
  principal: z.string(),
  /** When the sandbox that the run belongs to was started; ms epoch. */
  run_started: z.number(),
  run: Sum,
  minutes: z.array(z.tuple([z.number(), Sum])),
  models: z.record(z.string(), ModelSum),
  since: z.number(),
});

export type Window = "run" | "hour" | "day";
const WINDOWS = { hour: 60, day: DAY_MINUTES } as const;

export interface SpendingOptions {
  /** The daemon's own directory. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** A cap has just been reached. */
  readonly onReached: (principal: string, rule: string, shown: string) => void;
}

/** Tells operators that a cap is reached. */
export function tellReached(
  log: Logger,
  say: (body: string, content: Readonly<Record<string, unknown>>) => void,
): SpendingOptions["onReached"] {
  return (principal, rule, cap) => {
    log.warn("budget used up", { principal, rule, cap });
    const body =
      `${principal} has used up its budget (${rule}: ${cap}); its model requests are refused ` +
      "until it is free again, or raised";
    say(body, noticePart("budget_reached", { principal, rule, cap }));
  };
}

export class Spending {
  readonly #options: SpendingOptions;
  readonly #accounts = new Map<string, Promise<SpendingAccount>>();

  constructor(options: SpendingOptions) {
    this.#options = options;
  }

  /** @param principal full localpart */
  of(principal: string): Promise<SpendingAccount> {
    const known = this.#accounts.get(principal);
    if (known !== undefined) return known;
    const opened = SpendingAccount.open(principal, this.#options);
    this.#accounts.set(principal, opened);
    return opened;
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    for (const account of this.#accounts.values()) await (await account).save();
  }
}

export class SpendingAccount {
  readonly #principal: string;
  readonly #path: string;
  readonly #options: SpendingOptions;
  #budgets: Budgets | null = null;
  #runStarted = 0;
  #run: Sum = { input: 0, output: 0, cost: 0 };
  #minutes = new Map<number, Sum>();
  #models: Record<string, ModelSum> = {};
  #since: number;
  #dirty = false;
  #waiting = false;
  #saving: Promise<void> = Promise.resolve();

  private constructor(principal: string, path: string, options: SpendingOptions) {
    this.#principal = principal;
    this.#path = path;
    this.#options = options;
    this.#since = options.clock.now();
  }

  static async open(principal: string, options: SpendingOptions): Promise<SpendingAccount> {
    const path = `${options.stateDir}/spending/${await principalHash(principal)}.json`;
    const account = new SpendingAccount(principal, path, options);
    await account.#load();
    return account;
  }

  async #load(): Promise<void> {
    try {
      const saved = z.parse(Saved, JSON.parse(await Deno.readTextFile(this.#path)));
      if (saved.principal !== this.#principal) return;
      this.#runStarted = saved.run_started;
      this.#run = saved.run;
      this.#minutes = new Map(saved.minutes);
      this.#models = saved.models;
      this.#since = saved.since;
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return;
      // Put aside for whoever wants to look. A budget that nobody can read would stop the agent for good, and an
      // error here the daemon, with every other agent.
      const aside = `${this.#path}.damaged`;
      const kept = await Deno.rename(this.#path, aside).then(() => aside, () => this.#path);
      this.#options.log.error("what an agent spent can't be read: it is counted anew", {
        principal: this.#principal,
        why: messageOf(thrown).slice(0, 200),
        kept,
      });
    }
  }

  /** The caps as the events have them now. */
  setBudgets(budgets: Budgets | null): void {
    this.#budgets = budgets;
  }

  /** @param startedAt of the sandbox; another one is another run */
  follow(startedAt: number): void {
    if (startedAt === this.#runStarted) return;
    this.#runStarted = startedAt;
    this.#run = { input: 0, output: 0, cost: 0 };
    this.#changed();
  }

  add(usage: SpentUsage): void {
    const before = this.#reached();
    const sum = {
      input: usage.input + usage.cacheRead + usage.cacheWrite,
      output: usage.output,
      cost: usage.cost,
    };
    add(this.#run, sum);
    const minute = Math.floor(this.#options.clock.now() / MINUTE_MS);
    const known = this.#minutes.get(minute);
    if (known === undefined) this.#minutes.set(minute, sum);
    else add(known, sum);
    for (const old of this.#minutes.keys()) {
      if (old <= minute - DAY_MINUTES) this.#minutes.delete(old);
    }
    this.#count(usage);
    this.#changed();
    for (const [rule, shown] of this.#reached()) {
      if (!before.has(rule)) this.#options.onReached(this.#principal, rule, shown);
    }
  }

  #count(usage: SpentUsage): void {
    const name = usage.model === "" ? "(unnamed)" : usage.model;
    const known = Object.hasOwn(this.#models, name) ||
      Object.keys(this.#models).length < MAX_MODELS;
    const key = known ? name : OTHERS;
    const model = Object.hasOwn(this.#models, key) ? this.#models[key]! : {
      requests: 0,
      input: 0,
      output: 0,
      cache_read: 0,
      cache_write: 0,
      cost: 0,
      estimated: 0,
      unpriced: 0,
    };
    model.requests++;
    model.input += usage.input;
    model.output += usage.output;
    model.cache_read += usage.cacheRead;
    model.cache_write += usage.cacheWrite;
    model.cost += usage.cost;
    if (usage.estimated) model.estimated++;
    if (!usage.priced) model.unpriced++;
    this.#models[key] = model;
  }

  sum(window: Window): Sum {
    if (window === "run") return { ...this.#run };
    const from = Math.floor(this.#options.clock.now() / MINUTE_MS) - WINDOWS[window] + 1;
    const sum = { input: 0, output: 0, cost: 0 };
    for (const [minute, each] of this.#minutes) if (minute >= from) add(sum, each);
    return sum;
  }

  /** Rule → its cap in words. */
  #reached(): Map<string, string> {
    const reached = new Map<string, string>();
    for (const window of ["run", "hour", "day"] as const) {
      const cap = this.#budgets?.[window];
      if (cap === undefined) continue;
      for (const { name, limit, taken } of against(cap, this.sum(window))) {
        if (taken >= limit) {
          reached.set(`budgets.${window}.${name}`, name === "cost_usd" ? `$${limit}` : `${limit}`);
        }
      }
    }
    return reached;
  }

  /** For a proxy. @param heard usages that came from it since it is watched */
  state(heard: number): BudgetState {
    return {
      budgets: this.#budgets,
      spent: { run: { ...this.#run }, minutes: [...this.#minutes] },
      heard,
    };
  }

  /** For a person. */
  report(): {
    since: number;
    windows: { window: Window; taken: Sum; cap: BudgetCap | null }[];
    models: ({ model: string } & ModelSum)[];
  } {
    return {
      since: this.#since,
      windows: (["run", "hour", "day"] as const).map((window) => ({
        window,
        taken: this.sum(window),
        cap: this.#budgets?.[window] ?? null,
      })),
      models: Object.entries(this.#models).map(([model, sum]) => ({ model, ...sum }))
        .toSorted((a, b) => b.cost - a.cost),
    };
  }

  #changed(): void {
    this.#dirty = true;
    if (this.#waiting) return;
    this.#waiting = true;
    this.#options.clock.sleep(SAVE_MS).then(() => {
      this.#waiting = false;
      return this.save();
    }).catch(() => {});
  }

  /** Resolves when what is known now is on disk. */
  save(): Promise<void> {
    return this.#saving = this.#saving.then(async () => {
      if (!this.#dirty) return;
      this.#dirty = false;
      const saved: z.infer<typeof Saved> = {
        version: 1,
        principal: this.#principal,
        run_started: this.#runStarted,
        run: this.#run,
        minutes: [...this.#minutes],
        models: this.#models,
        since: this.#since,
      };
      try {
        await Deno.mkdir(this.#path.slice(0, this.#path.lastIndexOf("/")), {
          recursive: true,
          mode: 0o700,
        });
        await Deno.writeTextFile(`${this.#path}.new`, JSON.stringify(saved), { mode: 0o600 });
        await Deno.rename(`${this.#path}.new`, this.#path);
      } catch (thrown) {
        this.#dirty = true;
        this.#options.log.warn("what an agent spent is not written", {
          principal: this.#principal,
          why: messageOf(thrown),
        });
      }
    });
  }
}

function add(sum: Sum, more: Sum): void {
  sum.input += more.input;
  sum.output += more.output;
  sum.cost += more.cost;
}

/** Each cap that is set, beside what was taken of it. */
export function against(
  cap: BudgetCap,
  sum: Sum,
): { name: keyof BudgetCap; limit: number; taken: number }[] {
  const all = [
    { name: "tokens", limit: cap.tokens, taken: sum.input + sum.output },
    { name: "input_tokens", limit: cap.input_tokens, taken: sum.input },
    { name: "output_tokens", limit: cap.output_tokens, taken: sum.output },
    { name: "cost_usd", limit: cap.cost_usd, taken: sum.cost },
  ] as const;
  return all.flatMap(({ name, limit, taken }) =>
    limit === undefined ? [] : [{ name, limit, taken }]
  );
}
