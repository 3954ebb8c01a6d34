// SPDX-License-Identifier: Apache-2.0

/**
 * A worker, from its parent's side: started with a spec that it gets once, found in the fabric, proven to be the one,
 * given runs, and ended.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { type DiscoveryRecord, Fabric } from "../fabric/mod.ts";
import {
  completeSpec,
  type ProvisionInput,
  type ProvisionSpec,
  secretsOf,
  writeSpec,
} from "../provision/mod.ts";
import type { Door, Spawning } from "../spawn/door.ts";
import { probe, type RunOutcome, type RunRequest, WorkerConnection } from "./connection.ts";
import { ParentError } from "./errors.ts";
import type { WorkerLauncher, WorkerProcess } from "./launch.ts";
import { runWatched } from "./watched.ts";
import { refuseUnenforced, type RunOptions, type Worker } from "./worker.ts";

/** How long a worker may take to say that it is there. */
const REGISTRATION_MS = 30_000;
const LOOK_AGAIN_MS = 20;

export interface StartOptions {
  readonly launcher: WorkerLauncher;
  /** Who starts the workers of one with `nested_spawn`; absent: nobody, and such a spec is refused. */
  readonly spawning?: Spawning;
  readonly clock?: Clock;
  readonly registrationMs?: number;
  readonly silenceSeconds?: number;
  /** What only this very worker is to have, by its child_id: its own token at a broker. */
  readonly equip?: (input: ProvisionInput) => ProvisionInput;
}

export class ParentWorker implements Worker {
  readonly record: DiscoveryRecord;
  readonly spec: ProvisionSpec;
  readonly #process: WorkerProcess;
  readonly #options: StartOptions;
  readonly #door: Door | null;
  #hasEnded = false;
  #isClean = true;

  private constructor(
    record: DiscoveryRecord,
    spec: ProvisionSpec,
    process: WorkerProcess,
    options: StartOptions,
    door: Door | null,
  ) {
    this.record = record;
    this.spec = spec;
    this.#process = process;
    this.#options = options;
    this.#door = door;
    void process.exited.then(async () => {
      this.#hasEnded = true;
      await door?.close();
    });
  }

  /**
   * @param input what this very worker is told; its `worker_auth_token` is made here
   * @throws {ParentError} `bad-placement`, `exited-early`, `not-registered`, `impostor`, `not-enforced`; {SpecError}
   */
  static async start(input: ProvisionInput, options: StartOptions): Promise<ParentWorker> {
    const own = options.equip?.(input) ?? input;
    const spec = completeSpec({
      ...own,
      secrets: { ...own.secrets, worker_auth_token: newToken() },
    });
    // Whoever asks for another machine must not get this one.
    if (spec.placement.kind !== "local") {
      throw new ParentError(
        "bad-placement",
        `Cannot start the worker "${spec.identity.child_id}": placement "${spec.placement.kind}" is not one that this parent can start`,
        "give placement local",
      );
    }
    const fabric = new Fabric(spec.fabric_dir, options.clock);
    await fabric.open();
    const door = await doorFor(spec, options);
    spec.capabilities.spawn_endpoint = door?.endpoint;
    const text = new TextEncoder().encode(writeSpec(spec));
    let process: WorkerProcess | null = null;
    try {
      process = await options.launcher.launch(spec);
      await process.give(text).catch((thrown) => exitedEarly(spec, process!, thrown));
      const record = await registered(spec, fabric, process, options);
      await probe(addressOf(record, spec));
      refuseUnenforced(record, spec);
      return new ParentWorker(record, spec, process, options, door);
    } catch (thrown) {
      process?.kill();
      await process?.exited;
      await door?.close();
      await fabric.withdraw(spec.identity.child_id).catch(() => {});
      throw thrown;
    } finally {
      text.fill(0);
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  get exited(): WorkerProcess["exited"] {
    return this.#process.exited;
  }

  get isReusable(): boolean {
    return this.spec.reusable && !this.#hasEnded && this.#isClean;
  }

  /** Over a connection of its own. @throws {ParentError} `no-answer`, `refused` */
  async run(request: RunRequest, handlers: RunOptions = {}): Promise<RunOutcome> {
    const { clock, silenceSeconds } = this.#options;
    const connection = await WorkerConnection.open(addressOf(this.record, this.spec))
      .catch((thrown) => {
        this.#isClean = false;
        throw thrown;
      });
    const approve = async (body: unknown, over: AbortSignal) =>
      await handlers.onApproval?.(body, over) ?? false;
    try {
      const outcome = await runWatched(connection, request, {
        ...handlers,
        onStart: (control) => {
          this.#door?.begin({ approve, hear: control.hear });
          handlers.onStart?.(control);
        },
      }, {
        limits: this.spec.limits,
        clock,
        silenceSeconds,
      });
      if (outcome.status !== "completed") this.#isClean = false;
      if (outcome.status === "timeout" || outcome.status === "cancelled") await this.end();
      return await this.#explain(outcome, connection);
    } finally {
      connection.close();
      await this.#door?.end();
    }
  }

  /** It is asked to end, and has so long for it. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    this.#isClean = false;
    const { clock = systemClock } = this.#options;
    const inTime = new AbortController();
    this.#process.ask?.();
    await Promise.race([
      this.#process.exited,
      clock.sleep(this.#process.ask === undefined ? 0 : graceMs, inTime.signal).catch(() => {}),
    ]);
    inTime.abort();
    await this.end();
  }

  /** SIGKILL, and its record withdrawn for it. Idempotent. */
  async end(): Promise<void> {
    this.#isClean = false;
    this.#process.kill();
    await this.#process.exited;
    await this.#door?.close();
    const fabric = new Fabric(this.spec.fabric_dir);
    await fabric.withdraw(this.spec.identity.child_id).catch(() => {});
    await Deno.remove(await fabric.socketPath(this.spec.identity.child_id)).catch(() => {});
  }

  /** A connection that broke means, most of the time, a process that ended: it may have said why. */
  async #explain(outcome: RunOutcome, connection: WorkerConnection): Promise<RunOutcome> {
    if (outcome.status !== "error" || connection.isOpen) return outcome;
    const { clock = systemClock } = this.#options;
    const soon = new AbortController();
    const ended = await Promise.race([
      this.#process.exited,
      clock.sleep(1_000, soon.signal).then(() => null, () => null),
    ]);
    soon.abort();
    if (ended === null) return outcome;
    return { status: "error", error: `the worker ended ${described(ended, this.spec)}` };
  }
}

/** @throws {ParentError} `not-allowed` */
async function doorFor(spec: ProvisionSpec, { spawning }: StartOptions): Promise<Door | null> {
  if (!spec.capabilities.nested_spawn) return null;
  if (spawning !== undefined) return await spawning.open(spec);
  throw new ParentError(
    "not-allowed",
    `Cannot start the worker "${spec.identity.child_id}" with nested_spawn: its parent starts none for it`,
    "leave nested_spawn out",
  );
}

const addressOf = (record: DiscoveryRecord, spec: ProvisionSpec) => ({
  record,
  token: spec.secrets.worker_auth_token!,
});

function newToken(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

async function registered(
  spec: ProvisionSpec,
  fabric: Fabric,
  process: WorkerProcess,
  { clock = systemClock, registrationMs = REGISTRATION_MS }: StartOptions,
): Promise<DiscoveryRecord> {
  const { child_id } = spec.identity;
  let hasExited = false;
  void process.exited.then(() => {
    hasExited = true;
  });
  const deadline = clock.now() + registrationMs;
  while (clock.now() < deadline) {
    if (hasExited) return await exitedEarly(spec, process);
    const record = await fabric.resolve(child_id);
    if (record !== null) return record;
    await clock.sleep(LOOK_AGAIN_MS);
  }
  throw new ParentError(
    "not-registered",
    `Cannot use the worker "${child_id}": it did not register within ${registrationMs / 1000} s`,
    "it was ended; a machine that has too much to do may need fewer workers at once",
  );
}

async function exitedEarly(
  spec: ProvisionSpec,
  process: WorkerProcess,
  cause?: unknown,
): Promise<never> {
  if (cause !== undefined) process.kill();
  const ended = await process.exited;
  throw new ParentError(
    "exited-early",
    `Cannot use the worker "${spec.identity.child_id}": it ended before it registered, ${
      described(ended, spec)
    }`,
    undefined,
    cause === undefined ? undefined : new Error(messageOf(cause)),
  );
}

/** What a worker wrote last is its own words, and may hold what it was told. */
function described(
  { how, stderr }: { how: string; stderr: string },
  spec: ProvisionSpec,
): string {
  const shown = secretsOf(spec)
    .reduce((text, secret) => text.replaceAll(secret, "[redacted]"), stderr)
    .slice(-1_000);
  return shown === "" ? how : `${how}: ${shown}`;
}
