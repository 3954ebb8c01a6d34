// SPDX-License-Identifier: Apache-2.0

/** A worker that the host holds: idle, at work for whoever took it, or ended, with what is known of that. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { Fabric } from "../fabric/mod.ts";
import { probe, type RunOutcome, type RunRequest } from "../parent/connection.ts";
import type { ParentWorker } from "../parent/parent.ts";
import type { RunOptions, Worker } from "../parent/worker.ts";
import type { WorkerView } from "./api.ts";
import { HostError } from "./errors.ts";

/** How long a worker waits for its next run where its spec doesn't say. */
export const IDLE_SECONDS = 300;
/** How long one that is asked to end may take. */
const GRACE_MS = 5_000;
/** How long the next waits for the one before it. */
const LEAVING_MS = 15_000;
/** The longest that a timer here can be: 24 days. */
const MAX_SLEEP_MS = 2 ** 31 - 1;

export interface HeldOptions {
  readonly name: string;
  readonly pool: string | null;
  /** Something of its view changed. */
  onChange(held: Held): void;
  readonly clock?: Clock;
}

export class Held implements Worker {
  readonly name: string;
  readonly pool: string | null;
  readonly #worker: ParentWorker;
  readonly #options: HeldOptions;
  readonly #clock: Clock;
  #state: WorkerView["state"] = "idle";
  #since: number;
  #runs = 0;
  #last: WorkerView["last"] = null;
  /** Why we ended it; where we didn't, how it did. */
  #reason: string | null = null;
  #exit: string | null = null;
  #waiting = new AbortController();
  #isRunning = false;
  /** Whoever took it has left. */
  #left = Promise.withResolvers<void>();

  constructor(worker: ParentWorker, options: HeldOptions) {
    this.#worker = worker;
    this.#options = options;
    this.name = options.name;
    this.pool = options.pool;
    this.#clock = options.clock ?? systemClock;
    this.#since = this.#clock.now();
    this.#awaitRun();
    void worker.exited.then(({ how }) => {
      this.#exit = how;
      this.#ended();
    });
  }

  get spec(): ParentWorker["spec"] {
    return this.#worker.spec;
  }

  get record(): ParentWorker["record"] {
    return this.#worker.record;
  }

  get exited(): ParentWorker["exited"] {
    return this.#worker.exited;
  }

  get isReusable(): boolean {
    return this.#worker.isReusable;
  }

  get state(): WorkerView["state"] {
    return this.#state;
  }

  /** Its record is valid, and whoever answers there is the one that was given the spec. */
  async answers(): Promise<boolean> {
    if (this.#state === "ended") return false;
    const { fabric_dir, identity, secrets } = this.spec;
    try {
      const record = await new Fabric(fabric_dir).resolve(identity.child_id);
      if (record === null) return false;
      await probe({ record: this.record, token: secrets.worker_auth_token! });
      return true;
    } catch {
      return false;
    }
  }

  /** One who has what they wanted may be on their way out, and the next one here before we know. */
  async takerToLeave(): Promise<void> {
    if (this.#state !== "running" || this.#isRunning) return;
    const over = new AbortController();
    const patience = this.#clock.sleep(LEAVING_MS, over.signal).catch(() => {});
    await Promise.race([this.#left.promise, patience]);
    over.abort();
  }

  /** For one at a time. @throws {HostError} `ended`, `busy` */
  take(): this {
    if (this.#state === "ended") {
      throw new HostError(
        "ended",
        `"${this.name}" has ended: ${this.#why}`,
        "`bureau worker spawn` starts another",
      );
    }
    if (this.#state === "running") {
      throw new HostError("busy", `"${this.name}" has a run`, "wait for its end, or spawn another");
    }
    this.#waiting.abort();
    this.#left = Promise.withResolvers();
    this.#become("running");
    return this;
  }

  /** Whoever took it has left. */
  release(): void {
    if (this.#state !== "running") return;
    this.#become("idle");
    this.#left.resolve();
    this.#awaitRun();
  }

  async run(request: RunRequest, options: RunOptions = {}): Promise<RunOutcome> {
    this.#runs++;
    this.#last = null;
    this.#isRunning = true;
    const outcome = await this.#worker.run(request, options).finally(() => this.#isRunning = false);
    this.#last = outcome.status;
    if (outcome.status === "timeout") this.#reason ??= outcome.error;
    if (outcome.status === "cancelled") this.#reason ??= "its run was cancelled";
    this.#options.onChange(this);
    return outcome;
  }

  async end(reason?: string): Promise<void> {
    if (this.#state === "ended") return;
    this.#reason ??= reason ??
      (this.#last === "error" ? "its run failed" : "whoever had it ended it");
    await this.#worker.end();
    this.#ended();
  }

  /** It is asked first: what runs is cancelled. Idempotent. */
  async stop(): Promise<void> {
    if (this.#state === "ended") return;
    this.#reason ??= "it was stopped";
    await this.#worker.stop(GRACE_MS);
    this.#ended();
  }

  view(live: boolean): WorkerView {
    const { executor, identity } = this.spec;
    return {
      name: this.name,
      pool: this.pool,
      executor: executor.kind,
      role: identity.role,
      state: this.#state,
      live,
      since: this.#since,
      runs: this.#runs,
      last: this.#last,
      reason: this.#state === "ended" ? this.#why : null,
    };
  }

  #awaitRun(): void {
    this.#waiting = new AbortController();
    const seconds = this.spec.limits.idle_timeout_secs ?? IDLE_SECONDS;
    this.#clock.sleep(Math.min(seconds * 1000, MAX_SLEEP_MS), this.#waiting.signal)
      .then(() => this.end(`nobody needed it for ${seconds} s`), () => {});
  }

  get #why(): string {
    return this.#reason ?? `it ended ${this.#exit}`;
  }

  #ended(): void {
    if (this.#state === "ended") return;
    this.#waiting.abort();
    this.#left.resolve();
    this.#become("ended");
  }

  #become(state: WorkerView["state"]): void {
    this.#state = state;
    this.#since = this.#clock.now();
    this.#options.onChange(this);
  }
}
