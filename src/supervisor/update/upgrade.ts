// SPDX-License-Identifier: Apache-2.0

/**
 * One upgrade: each process is replaced and proven before the next, the supervisor last. What fails is put back, and
 * the release is pinned as bad. Agents live through all of it: only what serves them is replaced.
 */
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { SupervisedProcess } from "../api.ts";
import { SupervisorError } from "../errors.ts";
import { failed, type Ledger, type LedgerFile } from "./ledger.ts";

/** What ran before is well again within this time. */
const WELL_MS = 60_000;
const LOOK_MS = 200;

export interface Machine {
  /** In the order in which they are replaced. */
  readonly names: () => readonly string[];
  readonly processes: () => readonly SupervisedProcess[];
  /** Ends it, and starts it from another directory. */
  readonly replace: (name: string, dir: string) => Promise<void>;
  /** @returns what is wrong, or null */
  readonly ill: () => Promise<string | null>;
  /**
   * Gives everything to a supervisor of the release, and returns when that one has proven itself and said so in the
   * ledger. @throws after which everything is as before
   */
  readonly handOver: (digest: string, dir: string) => Promise<void>;
}

export interface Upgrade {
  readonly to: string;
  readonly dir: string;
  /** What runs now. */
  readonly from: string | null;
  readonly fromDir: string;
  /** How long it must stay well, in milliseconds. */
  readonly settleMs: number;
  /** Within which everything must be well after each replacement, in milliseconds. */
  readonly wellMs: number;
}

export interface UpgradeOptions {
  readonly machine: Machine;
  readonly ledger: LedgerFile;
  readonly clock: Clock;
  readonly log: Logger;
  /** Everything is to end: nothing is waited for, and nothing put back. */
  readonly stop: AbortSignal;
}

/** @returns the ledger afterwards; a release that failed is no exception */
export async function upgrade(
  { to, dir, from, fromDir, settleMs, wellMs }: Upgrade,
  { machine, ledger, clock: anyClock, log, stop }: UpgradeOptions,
): Promise<Ledger> {
  const clock: Clock = { now: () => anyClock.now(), sleep: (ms) => anyClock.sleep(ms, stop) };
  const step = (name: string) =>
    ledger.change(({ updating }) => ({
      updating: { to, from, step: name, at: updating?.at ?? clock.now() },
    }));
  const replaced: string[] = [];
  try {
    for (const name of machine.names()) {
      await step(name);
      log.info("upgrade", { to, step: name });
      replaced.push(name);
      await machine.replace(name, dir);
      await becomeWell(machine, clock, wellMs);
      stop.throwIfAborted();
    }
    await stayWell(machine, settleMs, clock);
    await step("supervisor");
    await machine.handOver(to, dir);
    return await ledger.read();
  } catch (thrown) {
    // The ledger says how far it came: the next start is of what ran before.
    if (stop.aborted) return await ledger.read();
    const why = messageOf(thrown);
    log.error("upgrade failed, going back", { to, why });
    for (const name of replaced.reverse()) {
      await restore(name, fromDir, machine, log);
    }
    await becomeWell(machine, clock).catch((also) =>
      log.error("not well after going back", { why: messageOf(also) })
    );
    return await ledger.change((now) => failed(now, to, why, clock.now()));
  }
}

/** What ran before is no worse than it was: it is tried until it serves. */
async function restore(name: string, dir: string, machine: Machine, log: Logger): Promise<void> {
  for (let tries = 1; tries <= 3; tries++) {
    try {
      return await machine.replace(name, dir);
    } catch (thrown) {
      log.error("cannot start what ran before", { process: name, tries, why: messageOf(thrown) });
    }
  }
}

/** @throws {SupervisorError} `not-well` saying what was wrong last */
export async function becomeWell(
  machine: Pick<Machine, "ill">,
  clock: Clock,
  withinMs = WELL_MS,
): Promise<void> {
  const deadline = clock.now() + withinMs;
  while (true) {
    const ill = await machine.ill();
    if (ill === null) return;
    if (clock.now() >= deadline) throw new SupervisorError("not-well", ill);
    await clock.sleep(LOOK_MS);
  }
}

/** Well at its end, and nothing has died meanwhile. @throws {SupervisorError} `not-well` */
export async function stayWell(
  machine: Pick<Machine, "ill" | "processes">,
  forMs: number,
  clock: Clock,
): Promise<void> {
  const lives = () =>
    new Map(machine.processes().map(({ name, pid, restarts }) => [name, `${pid} ${restarts}`]));
  const before = lives();
  const until = clock.now() + forMs;
  do {
    await clock.sleep(Math.min(LOOK_MS, forMs));
    for (const [name, life] of lives()) {
      if (before.get(name) === life) continue;
      throw new SupervisorError("not-well", `the ${name} ended and had to be started again`);
    }
  } while (clock.now() < until);
  await becomeWell(machine, clock);
}
