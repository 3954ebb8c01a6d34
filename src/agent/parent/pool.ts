// SPDX-License-Identifier: Apache-2.0

/**
 * Warm workers. A run gets one that was made for exactly what it needs, and for nobody else; whatever went wrong in a
 * run ends its worker, so what waits here has done nothing but well.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Fabric } from "../fabric/mod.ts";
import type { ProvisionSpec } from "../provision/mod.ts";
import type { RunOutcome, RunRequest } from "./connection.ts";
import { ParentError } from "./errors.ts";
import { PoolKeys } from "./key.ts";
import { ParentWorker, type StartOptions } from "./parent.ts";
import type { RunOptions } from "./worker.ts";

/** Runs at a time; others wait. */
const CONCURRENT = 8;
/** Parked workers of one kind. */
const KEPT = 4;
/** How long one waits for its next run. */
const IDLE_SECONDS = 300;

export interface PoolOptions extends StartOptions {
  readonly concurrent?: number;
  readonly kept?: number;
  /**
   * What its workers are called, each at a time, with a fabric_dir of its own by that name; absent: names that nobody
   * had before, all in the one of the spec.
   */
  readonly names?: readonly string[];
}

export interface Assignment {
  /** For whom: a worker never serves two. */
  readonly principal: string;
  /** As `narrow` made it. Its child is whose run this is; the worker may bear the name of an earlier one. */
  readonly spec: ProvisionSpec;
  readonly request: RunRequest;
}

interface Parked {
  readonly worker: ParentWorker;
  readonly stop: AbortController;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  readonly #keys = new PoolKeys();
  readonly #parked = new Map<string, Parked[]>();
  readonly #all = new Set<ParentWorker>();
  readonly #starting = new Set<string>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** How many workers there are, at work or parked. */
  get size(): number {
    return this.#all.size;
  }

  /** @throws {ParentError} when no worker can be had */
  async run(
    { principal, spec, request }: Assignment,
    options: RunOptions = {},
  ): Promise<RunOutcome> {
    if (this.#running >= (this.#options.concurrent ?? CONCURRENT)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#running++;
    try {
      if (this.#closed) throw closed();
      const bucket = await this.#keys.of(principal, spec);
      return await this.#give(bucket, spec, request, options);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const parked of this.#parked.values()) for (const { stop } of parked) stop.abort();
    this.#parked.clear();
    await Promise.all([...this.#all].map((worker) => this.#end(worker)));
  }

  async #give(
    bucket: string,
    spec: ProvisionSpec,
    request: RunRequest,
    options: RunOptions,
  ): Promise<RunOutcome> {
    const warm = await this.#take(bucket);
    if (warm !== null) {
      try {
        return await this.#runAt(warm, bucket, request, options);
      } catch (thrown) {
        // It has gone in between. Once more, with a new one.
        if (!(thrown instanceof ParentError)) throw thrown;
      }
    }
    return await this.#runAt(await this.#start(spec), bucket, request, options);
  }

  async #runAt(
    worker: ParentWorker,
    bucket: string,
    request: RunRequest,
    options: RunOptions,
  ): Promise<RunOutcome> {
    try {
      return await worker.run(request, options);
    } finally {
      if (!this.#park(bucket, worker)) await this.#end(worker);
    }
  }

  async #start(spec: ProvisionSpec): Promise<ParentWorker> {
    const { limits } = spec;
    const name = this.#name();
    const { fabric_dir } = spec;
    const worker = await ParentWorker.start({
      ...spec,
      // Several runs of one child may be on at a time.
      identity: { ...spec.identity, child_id: name },
      fabric_dir: this.#options.names === undefined ? fabric_dir : `${fabric_dir}/${name}`,
      limits: { ...limits, idle_timeout_secs: limits.idle_timeout_secs ?? IDLE_SECONDS },
      reusable: true,
    }, this.#options).finally(() => this.#starting.delete(name));
    this.#all.add(worker);
    if (!this.#closed) return worker;
    await this.#end(worker);
    throw closed();
  }

  #name(): string {
    const taken = new Set([...this.#all].map(({ spec }) => spec.identity.child_id));
    const { names = [`pool-${crypto.randomUUID()}`] } = this.#options;
    const free = names.find((name) => !taken.has(name) && !this.#starting.has(name));
    if (free === undefined) {
      throw new ParentError("not-pooled", "Cannot start a worker: all names of the pool are taken");
    }
    this.#starting.add(free);
    return free;
  }

  /** The newest of them that is still there. */
  async #take(bucket: string): Promise<ParentWorker | null> {
    for (;;) {
      const parked = this.#parked.get(bucket)?.pop();
      if (parked === undefined) return null;
      parked.stop.abort();
      const { worker } = parked;
      const { fabric_dir, identity } = worker.spec;
      const record = await new Fabric(fabric_dir).resolve(identity.child_id);
      if (worker.isReusable && record !== null) return worker;
      await this.#end(worker);
    }
  }

  #park(bucket: string, worker: ParentWorker): boolean {
    const parked = this.#parked.get(bucket) ?? [];
    if (this.#closed || !worker.isReusable || parked.length >= (this.#options.kept ?? KEPT)) {
      return false;
    }
    const entry = { worker, stop: new AbortController() };
    this.#parked.set(bucket, [...parked, entry]);
    const seconds = worker.spec.limits.idle_timeout_secs ?? IDLE_SECONDS;
    this.#clock.sleep(Math.min(seconds * 1000, 2 ** 31 - 1), entry.stop.signal).then(async () => {
      const rest = this.#parked.get(bucket)?.filter((each) => each !== entry) ?? [];
      if (rest.length === 0) this.#parked.delete(bucket);
      else this.#parked.set(bucket, rest);
      await this.#end(worker);
    }, () => {});
    return true;
  }

  async #end(worker: ParentWorker): Promise<void> {
    await worker.end();
    this.#all.delete(worker);
  }
}

const closed = () => new ParentError("not-pooled", "Cannot run: the pool of workers was closed");
