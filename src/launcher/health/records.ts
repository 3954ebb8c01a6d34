// SPDX-License-Identifier: Apache-2.0

/**
 * By principal: the last spec that was seen to work, and the one that was not. The launcher keeps this by
 * itself: nobody else can have it go back to an older assignment.
 */
import * as z from "zod/mini";
import { CreateRequest } from "../api.ts";
import { readIfThere, removeIfThere, writeAtomic } from "../files.ts";

const HealthRecord = z.object({
  version: z.literal(1),
  good: z.nullable(z.object({ digest: z.string(), request: CreateRequest })),
  /** Not tried again until the assignment is about another spec. */
  bad: z.nullable(z.object({ digest: z.string(), why: z.string(), at: z.number() })),
  /** A spec that has not worked yet, and how often in a row it ended before it did. */
  failing: z.nullable(z.object({ digest: z.string(), count: z.number() })),
});
export type HealthRecord = z.infer<typeof HealthRecord>;

const NONE: HealthRecord = { version: 1, good: null, bad: null, failing: null };

export class HealthRecords {
  readonly #dir: string;
  /** One change after the other. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @param stateDir `<state>/launcher` */
  constructor(stateDir: string) {
    this.#dir = `${stateDir}/health`;
  }

  async open(): Promise<void> {
    await Deno.mkdir(this.#dir, { recursive: true, mode: 0o700 });
  }

  /** One that can't be read is none: what is wanted is tried. */
  async get(hash: string): Promise<HealthRecord> {
    const text = await readIfThere(this.#path(hash));
    if (text === null) return NONE;
    try {
      return z.parse(HealthRecord, JSON.parse(text));
    } catch {
      return NONE;
    }
  }

  /** It works. */
  proven(hash: string, digest: string, request: CreateRequest): Promise<void> {
    return this.#change(hash, (record) => {
      const { good } = record;
      const known = good?.digest === digest &&
        good.request.assignment.issued_at >= request.assignment.issued_at;
      if (known && record.failing === null) return record;
      return { ...record, good: known ? good : { digest, request }, failing: null };
    });
  }

  /** It does not. @param times how often it may end before it has worked; 1: this was enough */
  failed(hash: string, digest: string, why: string, times: number, at: number): Promise<void> {
    return this.#change(hash, (record) => {
      // Nothing to go back to, or this is what would be gone back to.
      if (record.good === null || record.good.digest === digest) return record;
      const before = record.failing?.digest === digest ? record.failing.count : 0;
      if (before + 1 < times) return { ...record, failing: { digest, count: before + 1 } };
      return { ...record, bad: { digest, why, at }, failing: null };
    });
  }

  forget(hash: string): Promise<void> {
    const mine = this.#changes.then(() => removeIfThere(this.#path(hash)));
    this.#changes = mine.catch(() => {});
    return mine;
  }

  #path(hash: string): string {
    return `${this.#dir}/${hash}.json`;
  }

  #change(hash: string, change: (record: HealthRecord) => HealthRecord): Promise<void> {
    const mine = this.#changes.then(async () => {
      const before = await this.get(hash);
      const after = change(before);
      if (after !== before) await writeAtomic(this.#path(hash), JSON.stringify(after));
    });
    this.#changes = mine.catch(() => {});
    return mine;
  }
}
