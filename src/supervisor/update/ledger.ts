// SPDX-License-Identifier: Apache-2.0

/**
 * What was tried on this machine and what came of it (`<state>/releases/ledger.json`). It is written before each
 * step, so that whoever starts after a crash knows in which release everything stood.
 */
import * as z from "zod/mini";

const Digest = z.nullable(z.string());

export const Ledger = z.object({
  version: z.literal(1),
  /** What runs, once it is proven; null: the build that `up` was started with. */
  current: Digest,
  previous: Digest,
  updating: z.nullable(z.object({
    to: z.string(),
    from: Digest,
    /** The process that is being replaced. */
    step: z.string(),
    at: z.number(),
  })),
  /** Pinned by digest: not tried again by itself. */
  bad: z.record(z.string(), z.object({ why: z.string(), at: z.number() })),
  /** The last one, for people. */
  outcome: z.nullable(
    z.object({ to: z.string(), ok: z.boolean(), message: z.string(), at: z.number() }),
  ),
  /** The last one that was asked for in Matrix: it is carried out once. */
  asked: z.optional(z.object({
    issued_at: z.number(),
    to: z.string(),
    at: z.number(),
    /** Where it did not begin: why not, or that there was nothing to do. Null: the rest says what came of it. */
    result: z.nullable(z.object({ ok: z.boolean(), message: z.string() })),
  })),
  /** Since when each one ran: what was started meanwhile has its files bound. */
  history: z.array(z.object({ digest: Digest, since: z.number() })),
});
export type Ledger = z.infer<typeof Ledger>;

export const NEW_LEDGER: Ledger = {
  version: 1,
  current: null,
  previous: null,
  updating: null,
  bad: {},
  outcome: null,
  history: [],
};

const MAX_BAD = 64;

export class LedgerFile {
  readonly #path: string;
  #last: Promise<unknown> = Promise.resolve();

  /** @param root `<state>/releases` */
  constructor(root: string) {
    this.#path = `${root}/ledger.json`;
  }

  /** A ledger that can't be read says nothing: every process is started from one build then. */
  async read(): Promise<Ledger> {
    try {
      return z.parse(Ledger, JSON.parse(await Deno.readTextFile(this.#path)));
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return NEW_LEDGER;
      if (thrown instanceof SyntaxError || thrown instanceof z.core.$ZodError) return NEW_LEDGER;
      throw thrown;
    }
  }

  /** One after the other: what one writes the next one reads. */
  change(edit: (ledger: Ledger) => Partial<Ledger>): Promise<Ledger> {
    const mine = this.#last.then(() => this.#change(edit));
    this.#last = mine.catch(() => {});
    return mine;
  }

  async #change(edit: (ledger: Ledger) => Partial<Ledger>): Promise<Ledger> {
    const before = await this.read();
    const after = { ...before, ...edit(before) };
    const bad = Object.entries(after.bad).sort(([, a], [, b]) => b.at - a.at).slice(0, MAX_BAD);
    const text = JSON.stringify({ ...after, bad: Object.fromEntries(bad) });
    const fresh = `${this.#path}.new`;
    await Deno.remove(fresh).catch(() => {});
    {
      using file = await Deno.open(fresh, { write: true, createNew: true, mode: 0o600 });
      const bytes = new TextEncoder().encode(text);
      let at = 0;
      while (at < bytes.length) at += await file.write(bytes.subarray(at));
      await file.sync();
    }
    await Deno.rename(fresh, this.#path);
    return after;
  }
}

/** A release is proven: everything runs from it. */
export function committed(ledger: Ledger, to: string, now: number): Partial<Ledger> {
  const { [to]: _, ...bad } = ledger.bad;
  return {
    current: to,
    previous: ledger.updating?.from ?? ledger.current,
    updating: null,
    bad,
    outcome: { to, ok: true, message: "every process runs from it", at: now },
    history: [
      ...(ledger.history.length === 0 ? [{ digest: ledger.current, since: 0 }] : ledger.history),
      { digest: to, since: now },
    ].slice(-MAX_BAD),
  };
}

/** A release failed: what was before runs again, and this one is pinned. */
export function failed(ledger: Ledger, to: string, why: string, now: number): Partial<Ledger> {
  return {
    updating: null,
    bad: { ...ledger.bad, [to]: { why, at: now } },
    outcome: { to, ok: false, message: why, at: now },
  };
}

/** Releases of which nothing runs any more. @param starts when the programs that run were started */
export function unused(ledger: Ledger, starts: readonly number[]): string[] {
  const { current, previous, updating, history, bad } = ledger;
  const kept = new Set([current, previous, updating?.to, updating?.from]);
  for (const [n, { digest, since }] of history.entries()) {
    const until = history[n + 1]?.since ?? Infinity;
    if (starts.some((at) => at >= since && at < until)) kept.add(digest);
  }
  return [...new Set([...history.map(({ digest }) => digest), ...Object.keys(bad)])]
    .filter((digest): digest is string => digest !== null && !kept.has(digest));
}
