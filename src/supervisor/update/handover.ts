// SPDX-License-Identifier: Apache-2.0

/**
 * The supervisor's own replacement. Its processes end with it, so it ends them in order, leaves the agents, and starts
 * a supervisor of the release, which starts everything again. It looks on until that one has proven itself; else it
 * ends it and takes everything back.
 */
import { systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { SupervisorStatus } from "../api.ts";
import type { DevBox } from "../devbox.ts";
import { SupervisorError } from "../errors.ts";

/** A start, and the time in which it proves itself. */
const SUCCEED_MS = 120_000;
/** What a successor had started ends with it, politely. */
const TAKE_BACK_MS = 30_000;
const LOOK_MS = 100;

export interface Seat {
  readonly box: DevBox;
  /** Serves our socket, or leaves it to another. */
  readonly listen: () => Promise<void>;
  readonly leave: () => Promise<void>;
  /** Of whoever serves the socket now. */
  readonly statusThere: () => Promise<SupervisorStatus | null>;
  /** How we were started, without the way of starting. */
  readonly args: readonly string[];
  readonly log: Logger;
}

/** @throws when all is as before */
export async function handOver(seat: Seat, digest: string, dir: string): Promise<number> {
  const { box, log } = seat;
  const { runtime } = box;
  await box.processes.release();
  await seat.leave();
  const successor = await box.spawnSuccessor(dir, digest, seat.args);
  let gone: string | null = null;
  const exited = successor.status.then(({ code, signal }) => {
    gone = `it ended with ${signal ?? `status ${code}`}`;
  });
  const deadline = systemClock.now() + SUCCEED_MS;
  let why = `it did not prove itself within ${SUCCEED_MS / 1000} s`;
  while (systemClock.now() < deadline) {
    const status = await seat.statusThere().catch(() => null);
    if (status?.release?.current === digest && status.release.updating === null) {
      successor.unref();
      return successor.pid;
    }
    if (status?.state === "failed") {
      why = status.message ?? "it failed";
      break;
    }
    if (gone !== null) {
      why = gone;
      break;
    }
    await systemClock.sleep(LOOK_MS);
  }
  try {
    successor.kill("SIGKILL");
  } catch {
    // It is gone.
  }
  await exited;
  log.error("the new supervisor failed, taking everything back", { why });
  await takeBack(seat, runtime);
  throw new SupervisorError("successor-failed", `the new supervisor: ${why}`);
}

/** What the successor had started may still be ending. */
async function takeBack({ box, listen, log }: Seat, runtime: string): Promise<void> {
  const deadline = systemClock.now() + TAKE_BACK_MS;
  while (true) {
    try {
      await box.processes.resume(runtime);
      break;
    } catch (thrown) {
      if (systemClock.now() > deadline) {
        log.error("cannot start what ran before", { why: messageOf(thrown) });
        break;
      }
      await box.processes.release();
      await systemClock.sleep(LOOK_MS);
    }
  }
  await listen();
}
