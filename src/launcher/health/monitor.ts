// SPDX-License-Identifier: Apache-2.0

/** One sandbox's health, from what the shells of `sandbox/health.ts` count. */
import type { Clock } from "../../lib/clock.ts";
import { type HealthCheck, healthTimes } from "../../lib/schema/health.ts";
import { HEALTH_FILE } from "../../sandbox/mod.ts";
import type { Health } from "../api.ts";
import { readIfThere } from "../files.ts";

/** A counter is a line; what is longer is none. */
const MAX_BYTES = 100;

export interface Monitored {
  readonly check: HealthCheck;
  /** Host directory of the terminal's socket. */
  readonly tmuxDir: string;
  readonly startedAt: number;
  readonly clock: Clock;
  /** Nothing in a frozen sandbox tries anything. */
  readonly isFrozen: () => boolean;
  readonly onChange: (health: Health) => void;
  /** It worked as often in a row as it may fail; once. */
  readonly onProven: () => Promise<void>;
  /** It is given up; once, as the last call. */
  readonly onUnhealthy: (why: string) => Promise<void>;
}

interface Counts {
  readonly tries: number;
  readonly good: number;
  readonly bad: number;
  readonly code: number;
}

/** Looks until `stop` aborts, or the sandbox is unhealthy. */
export async function monitorHealth(monitored: Monitored, stop: AbortSignal): Promise<void> {
  const { check, clock, startedAt, tmuxDir } = monitored;
  const { interval, timeout, threshold, grace } = healthTimes(check);
  /** A try and the pause after it, with room for a machine that is overloaded. */
  const patience = 1_000 * ((interval + timeout) * 2 + 10);
  let health: Health = { state: "starting", since: startedAt, message: null };
  const say = (state: Health["state"], message: string | null) => {
    if (health.state === state) return;
    health = { state, since: clock.now(), message };
    monitored.onChange(health);
  };
  monitored.onChange(health);
  let seen = -1;
  let heardAt = clock.now();
  let isProven = false;
  while (true) {
    await clock.sleep(interval * 1_000, stop).catch(() => {});
    if (stop.aborted) return;
    const counts = await readCounts(`${tmuxDir}/${HEALTH_FILE}`);
    const now = clock.now();
    if (monitored.isFrozen() || (counts !== null && counts.tries !== seen)) heardAt = now;
    seen = counts?.tries ?? seen;
    if (counts !== null && counts.good > 0) say("healthy", null);
    if (!isProven && counts !== null && counts.good >= threshold) {
      isProven = true;
      await monitored.onProven();
    }
    if (health.state === "starting" && now < startedAt + grace * 1_000) continue;
    const isSilent = now - heardAt > patience;
    if (!isSilent && (counts === null || counts.bad < threshold)) continue;
    const why = isSilent
      ? "its health check has not answered for too long"
      : `its health check failed ${counts!.bad} times in a row${meaning(counts!.code)}`;
    say("unhealthy", why);
    return await monitored.onUnhealthy(why);
  }
}

function meaning(code: number): string {
  switch (code) {
    case 124:
    case 137:
      return ": no answer in time";
    case 126:
    case 127:
      return `: what it runs is not there (status ${code})`;
    default:
      return ` (status ${code})`;
  }
}

/** The directory is the cell's: what is in it is looked at before it is read. */
async function readCounts(path: string): Promise<Counts | null> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    if (!isFile || size > MAX_BYTES) return null;
  } catch {
    return null;
  }
  const words = /^(\d{1,9}) (\d{1,9}) (\d{1,9}) (\d{1,3})\s*$/.exec(await readIfThere(path) ?? "");
  if (words === null) return null;
  const [tries, good, bad, code] = words.slice(1).map(Number) as [number, number, number, number];
  return { tries, good, bad, code };
}
