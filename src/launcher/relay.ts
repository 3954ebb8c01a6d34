// SPDX-License-Identifier: Apache-2.0

/** A principal's observation relay: there as long as its session is, made again when it dies. */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { listSecrets } from "../lib/recording/mod.ts";
import type { RelayBootstrap, RelayEnd, RelaySecrets } from "../observe/api.ts";
import type { Logger } from "../lib/log.ts";
import type { Recording } from "../lib/schema/recording.ts";
import { SESSION } from "../lib/tmux/mod.ts";
import type { PrincipalDirectories } from "../sandbox/mod.ts";
import { type ServiceCell, startServiceCell } from "./cells.ts";
import type { Enter } from "./limits_enter.ts";
import { type Recordings, RECORDINGS_IN_CELL } from "./recordings.ts";

const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 10_000;
/** One that lived so long is made again at once. */
const STABLE_MS = 30_000;
/** Relays wait until no agent was started for so long: agents come first. */
const SETTLE_MS = 500;
const SETTLE_AT_MOST_MS = 10_000;
/** To say its last words, and to write what it has kept. */
const END_MS = 8_000;

/** Of one launcher: one relay after the other, when the agents are there. */
export class RelayTurns {
  readonly #clock: Clock;
  #last: Promise<void> = Promise.resolve();
  #agentAt = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs `start` when it is its turn; not at all when that is aborted before. */
  async take(start: () => Promise<void>, signal: AbortSignal): Promise<void> {
    this.#agentAt = this.#clock.now();
    const turn = this.#last.then(async () => {
      await this.#settled(signal);
      if (!signal.aborted) await start();
    });
    // Whose start fails lets the next one in.
    this.#last = turn.catch(() => {});
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([turn, aborted]);
  }

  async #settled(signal: AbortSignal): Promise<void> {
    const deadline = this.#clock.now() + SETTLE_AT_MOST_MS;
    while (!signal.aborted) {
      const now = this.#clock.now();
      const left = Math.min(this.#agentAt + SETTLE_MS, deadline) - now;
      if (left <= 0) return;
      await this.#clock.sleep(left, signal).catch(() => {});
    }
  }
}

export interface RelayOptions {
  readonly principal: string;
  readonly machine: string;
  readonly runtimeDir: string;
  readonly auditDir: string | undefined;
  readonly dirs: PrincipalDirectories;
  readonly enter: Enter | undefined;
  readonly relayTurns: RelayTurns;
  readonly hash: string;
  readonly recordings: Recordings;
  readonly recording: Recording;
  /** What no recording must hold. Secret; the relay gets fingerprints of it. */
  readonly secrets: () => readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
}

export class Relay {
  readonly #options: RelayOptions;
  readonly #stop = new AbortController();
  /** Aborted when somebody wants to watch now. */
  #hurry = new AbortController();
  #starting: Promise<ServiceCell> | null = null;
  #loop: Promise<void> | null = null;
  #ended: Promise<void> | null = null;
  #isRecorded = false;
  /** What the present one was told of. Secret. */
  #listed: readonly string[] = [];

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** From now on there is one, some time after the agents that are being started. */
  keep(): this {
    this.#loop ??= this.#keep();
    return this;
  }

  /** @returns the host path of a relay that listens now */
  async open(): Promise<string> {
    this.#hurry.abort();
    await this.#start();
    return `${this.#options.dirs.observe}/relay.sock`;
  }

  async #keep(): Promise<void> {
    const { principal, relayTurns, clock, log } = this.#options;
    const { signal } = this.#stop;
    // Who opens it meanwhile does not wait for its turn.
    const early = AbortSignal.any([signal, this.#hurry.signal]);
    await relayTurns.take(async () => void await this.#start().catch(() => {}), early);
    let backoff = BACKOFF_FIRST_MS;
    while (!signal.aborted) {
      const since = clock.now();
      try {
        await (await this.#start()).exited;
        if (clock.now() - since > STABLE_MS) backoff = BACKOFF_FIRST_MS;
        if (!signal.aborted) log.warn("relay ended, restarting", { principal });
      } catch (thrown) {
        if (signal.aborted) return;
        log.warn("relay could not be started", { principal, why: messageOf(thrown) });
      }
      this.#hurry = new AbortController();
      await clock.sleep(backoff, AbortSignal.any([signal, this.#hurry.signal])).catch(() => {});
      backoff = Math.min(backoff * 2, BACKOFF_LAST_MS);
    }
  }

  /** The one that runs, or is being started. */
  #start(): Promise<ServiceCell> {
    this.#starting ??= this.#make().then((cell) => {
      cell.exited.then(() => this.#starting = null);
      return cell;
    }, (thrown) => {
      this.#starting = null;
      throw thrown;
    });
    return this.#starting;
  }

  async #make(): Promise<ServiceCell> {
    this.#stop.signal.throwIfAborted();
    const { principal, machine, runtimeDir, auditDir, dirs, enter, log } = this.#options;
    const { hash, recordings, recording } = this.#options;
    const place = await recordings.placeOf(principal, hash, recording);
    this.#isRecorded = place !== null;
    const document: RelayBootstrap = {
      version: 1,
      principal,
      machine,
      session: SESSION,
      ...(place === null ? {} : {
        recording: {
          max_bytes: place.max_bytes,
          keep_ms: place.keep_ms,
          secrets: await this.#listSecrets(),
        },
      }),
    };
    return await startServiceCell(
      "relay",
      runtimeDir,
      [
        { source: dirs.observe, dest: "/run/bureau/observe" },
        { source: dirs.tmux, dest: "/run/bureau/tmux" },
        ...(place === null ? [] : [{ source: place.dir, dest: RECORDINGS_IN_CELL }]),
      ],
      document,
      (line) => log.info("relay says", { principal, line }),
      auditDir,
      enter,
    );
  }

  async #listSecrets(): Promise<RelaySecrets["secrets"]> {
    const secrets = this.#options.secrets();
    this.#listed = secrets;
    const { seed, multiplier, key, pieces } = await listSecrets(secrets);
    return { seed, multiplier, key, pieces: pieces.map((piece) => [...piece]) };
  }

  /** There are other secrets now. Resolves when they will not be recorded. */
  async renewSecrets(): Promise<void> {
    // One that starts later knows them.
    const cell = await this.#starting?.catch(() => null);
    const isKnown = () => {
      const secrets = this.#options.secrets();
      return secrets.length === this.#listed.length &&
        secrets.every((secret, index) => secret === this.#listed[index]);
    };
    if (cell === null || cell === undefined || !this.#isRecorded || isKnown()) return;
    try {
      await cell.tell({ secrets: await this.#listSecrets() } satisfies RelaySecrets);
    } catch (thrown) {
      const { principal, log } = this.#options;
      if (this.#stop.signal.aborted) return;
      log.warn("a relay did not take other secrets; it is made anew", {
        principal,
        why: messageOf(thrown),
      });
      cell.kill("SIGKILL");
    }
  }

  /** Makes no other. Resolves when the present one has told its watchers why, and is gone. */
  end(reason: string): Promise<void> {
    this.#ended ??= this.#end(reason);
    return this.#ended;
  }

  async #end(reason: string): Promise<void> {
    this.#stop.abort();
    const cell = await this.#starting?.catch(() => null);
    if (cell !== null && cell !== undefined) {
      const last: RelayEnd = { end: reason };
      cell.close(last);
      const late = new AbortController();
      this.#options.clock.sleep(END_MS, late.signal).then(() => cell.kill("SIGKILL"), () => {});
      await cell.exited;
      late.abort();
    }
    await this.#loop;
  }
}
