// SPDX-License-Identifier: Apache-2.0

/** The workers that the host holds, by name: one, or a pool of one kind. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { narrow } from "../parent/narrow.ts";
import { differences, PoolKeys } from "../parent/key.ts";
import type { WorkerLauncher } from "../parent/launch.ts";
import { ParentWorker } from "../parent/parent.ts";
import { Names, Nest } from "../spawn/nest.ts";
import { parseSpec, type ProvisionInput, type ProvisionSpec } from "../provision/mod.ts";
import type { SpawnRequest, WorkerView } from "./api.ts";
import { HostError, unknownWorker } from "./errors.ts";
import { Held } from "./held.ts";
import { type Place, type Places, tooMany } from "./places.ts";
import { HeldPool } from "./pool.ts";

/** Whose they are: the host serves one operator. */
const OPERATOR = "operator";
/** Ended workers of which it is still told how they did. */
const MAX_ENDED = 64;
/** A pool's workers are kept warm, where their spec doesn't say for how long. */
const NEVER_SECONDS = Number.MAX_SAFE_INTEGER;

export interface HostOptions {
  readonly places: Places;
  /** Of a worker's sandbox. @param document as it was asked for */
  launcher(document: SpawnRequest["launcher"], place: Place): WorkerLauncher;
  /** Something of `views` changed. */
  onChange(): void;
  readonly clock?: Clock;
  readonly registrationMs?: number;
}

export class Host {
  readonly #options: HostOptions;
  readonly #keys = new PoolKeys();
  /** Of what its workers spawn, all together. */
  readonly #names = new Names();
  readonly #workers = new Map<string, Held>();
  readonly #pools = new Map<string, HeldPool>();
  /** Names of those that start. */
  readonly #starting = new Set<string>();
  readonly #leaving = new Set<Promise<void>>();
  #isStopping = false;

  constructor(options: HostOptions) {
    this.#options = options;
  }

  /** Nothing lives in it, and nothing is about to. */
  get isEmpty(): boolean {
    return this.#pools.size === 0 && this.#starting.size === 0 &&
      [...this.#workers.values()].every(({ state }) => state === "ended");
  }

  /** @throws {HostError} `name-taken`, `too-many`, `stopping`; as `ParentWorker.start` */
  async spawn({ name: wished, size, launcher, spec: input }: SpawnRequest): Promise<Spawned> {
    if (this.#isStopping) throw stopping();
    const name = this.#freeName(wished);
    if ((size ?? 1) > this.#options.places.free) throw tooMany();
    this.#starting.add(name);
    this.#options.onChange();
    try {
      const spec = this.#specOf(input, size === null ? null : name);
      const start = (as: string, pool: string | null) => this.#start(spec, launcher, as, pool);
      if (size === null) {
        const held = await start(name, null);
        this.#forget(name);
        this.#remember(held);
        await this.#unlessStopping(held);
        return { name, workers: [name] };
      }
      const key = await this.#keys.of(OPERATOR, spec);
      const pool = new HeldPool({ name, size, spec, key, start: (as) => start(as, name) });
      this.#pools.set(name, pool);
      this.#forget(name);
      await pool.fill().catch((thrown) => {
        this.#pools.delete(name);
        throw thrown;
      });
      await this.#unlessStopping(pool);
      return { name, workers: pool.members.map((held) => held.name) };
    } finally {
      this.#starting.delete(name);
      this.#options.onChange();
    }
  }

  /** As they were last heard of. */
  views(): WorkerView[] {
    return this.#all().map((held) => held.view(held.state !== "ended"));
  }

  /** Each is asked. */
  async list(): Promise<WorkerView[]> {
    const views = await Promise.all(
      this.#all().map(async (held) => held.view(await held.answers())),
    );
    return views.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** What they were made with. @throws {HostError} `unknown-worker` */
  specOf(name: string): ProvisionSpec {
    const spec = this.#pools.get(name)?.spec ?? this.#workers.get(name)?.spec;
    if (spec === undefined) throw this.#unknown("use", name);
    return spec;
  }

  /** The worker of this name, or the next of this pool. @throws {HostError} also `busy`, `ended`, `none-live` */
  async take(name: string): Promise<Held> {
    const pool = this.#pools.get(name);
    if (pool !== undefined) return await pool.take();
    const held = this.#workers.get(name);
    if (held === undefined) throw this.#unknown("use", name);
    await held.takerToLeave();
    return held.take();
  }

  /** A worker of the pool that the spec names, if it was made with what the spec says. @throws {HostError} */
  async place(spec: ProvisionSpec): Promise<Held> {
    if (spec.placement.kind !== "schedulable") {
      throw new HostError(
        "bad-placement",
        `its placement is "${spec.placement.kind}"`,
        "here are pools alone: give placement schedulable, and the pool's name",
      );
    }
    const { pool: name } = spec.placement;
    const pool = this.#pools.get(name);
    if (pool === undefined) throw this.#unknown("use", name);
    const wanted = narrow(null, { ...spec, placement: { kind: "local" } });
    if (await this.#keys.of(OPERATOR, wanted) !== pool.key) {
      throw new HostError(
        "not-pooled",
        `the workers of the pool "${name}" were made with another spec (${
          differences(wanted, pool.spec).join(", ")
        })`,
        "spawn a pool with this one; it is not run anywhere else",
      );
    }
    return await pool.take();
  }

  /** Idempotent. @returns the names of those that are ended now @throws {HostError} `unknown-worker`, `not-pooled` */
  async stop(name: string): Promise<string[]> {
    const pool = this.#pools.get(name);
    if (pool !== undefined) {
      await pool.stop();
      this.#pools.delete(name);
      for (const held of pool.members) this.#remember(held);
      this.#options.onChange();
      return pool.members.map((held) => held.name);
    }
    const [of] = name.split("/");
    if (of !== name && this.#pools.has(of!)) {
      throw new HostError(
        "not-pooled",
        `Cannot stop "${name}": the pool "${of}" would start another`,
        `\`bureau worker stop ${of}\` stops the pool`,
      );
    }
    const found = [...this.#workers.values()]
      .filter((held) => held.name === name || held.pool === name);
    if (found.length === 0) throw this.#unknown("stop", name);
    await Promise.all(found.map((held) => held.stop()));
    return found.map((held) => held.name);
  }

  /** All, and no more are spawned. */
  async stopAll(): Promise<string[]> {
    this.#isStopping = true;
    const live = this.#all().filter(({ state }) => state !== "ended").map(({ name }) => name);
    await Promise.all([...this.#pools.keys()].map((name) => this.stop(name)));
    await Promise.all([...this.#workers.values()].map((held) => held.stop()));
    await Promise.all(this.#leaving);
    return live.sort();
  }

  #all(): Held[] {
    return [
      ...this.#workers.values(),
      ...[...this.#pools.values()].flatMap(({ members }) => members),
    ];
  }

  #freeName(wished: string | null): string {
    const taken = (name: string) =>
      this.#starting.has(name) || this.#pools.has(name) ||
      (this.#workers.get(name)?.state ?? "ended") !== "ended";
    if (wished === null) {
      for (let n = 1;; n++) {
        const name = `worker-${n}`;
        if (!taken(name) && !this.#workers.has(name)) return name;
      }
    }
    if (!taken(wished)) return wished;
    throw new HostError(
      "name-taken",
      `Cannot spawn "${wished}": there is one of this name`,
      `choose another, or end it: \`bureau worker stop ${wished}\``,
    );
  }

  /** @param pool null for one worker */
  #specOf(input: SpawnRequest["spec"], pool: string | null): ProvisionSpec {
    const asked = parseSpec(JSON.stringify(input));
    const { placement } = asked;
    // The same document makes a pool's workers and is placed on them.
    const isOurs = pool !== null && placement.kind === "schedulable" && placement.pool === pool;
    if (placement.kind !== "local" && !isOurs) {
      throw new HostError(
        "bad-placement",
        `Cannot spawn it: its placement is "${placement.kind}"`,
        "what is spawned stays on this machine: give placement local",
      );
    }
    return narrow(null, { ...asked, placement: { kind: "local" } });
  }

  async #start(
    spec: ProvisionSpec,
    document: SpawnRequest["launcher"],
    name: string,
    pool: string | null,
  ): Promise<Held> {
    const { places, launcher, clock = systemClock, registrationMs, onChange } = this.#options;
    const place = await places.take();
    const left = Promise.withResolvers<void>();
    this.#leaving.add(left.promise);
    const leave = () =>
      places.leave(place).finally(() => {
        this.#leaving.delete(left.promise);
        left.resolve();
      });
    const { limits } = spec;
    const input: ProvisionInput = {
      ...spec,
      identity: { ...spec.identity, child_id: place.id },
      fabric_dir: place.fabricDir,
      limits: pool === null || limits.idle_timeout_secs !== undefined
        ? limits
        : { ...limits, idle_timeout_secs: NEVER_SECONDS },
      reusable: true,
    };
    try {
      const options = {
        launcher: launcher(document, place),
        clock,
        ...(registrationMs === undefined ? {} : { registrationMs }),
      };
      const spawning = new Nest({ ...options, dir: places.dir, names: this.#names });
      const worker = await ParentWorker.start(input, { ...options, spawning });
      void worker.exited.then(leave);
      return new Held(worker, {
        name,
        pool,
        clock,
        onChange: (held) => {
          if (pool !== null) this.#pools.get(pool)?.changed(held);
          onChange();
        },
      });
    } catch (thrown) {
      await leave();
      throw thrown;
    }
  }

  async #unlessStopping(started: { stop(): Promise<void> }): Promise<void> {
    if (!this.#isStopping) return;
    await started.stop();
    throw stopping();
  }

  #remember(held: Held): void {
    this.#workers.set(held.name, held);
    const ended = [...this.#workers].filter(([, { state }]) => state === "ended");
    for (const [name] of ended.slice(0, -MAX_ENDED)) this.#workers.delete(name);
  }

  /** Those that ended under a name that another has now. */
  #forget(name: string): void {
    for (const held of this.#workers.values()) {
      if (held.name === name || held.pool === name) this.#workers.delete(held.name);
    }
  }

  #unknown(verb: string, name: string): HostError {
    return unknownWorker(verb, name, [...this.#pools.keys(), ...this.#workers.keys()]);
  }
}

export interface Spawned {
  readonly name: string;
  readonly workers: string[];
}

const stopping = () =>
  new HostError("stopping", "Cannot spawn a worker: the host ends", "try again");
