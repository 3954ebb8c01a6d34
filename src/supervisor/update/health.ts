// SPDX-License-Identifier: Apache-2.0

/** Whether everything that ran before runs now: what a replaced process has to show. */
import * as z from "zod/mini";
import { messageOf } from "../../lib/errors.ts";
import { defineApi } from "../../lib/http/api.ts";
import { createClient } from "../../lib/http/mod.ts";
import { launcherApi, type Principal } from "../../launcher/api.ts";
import type { SupervisedProcess } from "../api.ts";

export interface Watched {
  readonly launcherSocket: string;
  readonly daemonSocket: string;
  readonly processes: () => readonly SupervisedProcess[];
}

/** What of the daemon's socket is known here: it asks for no token. */
const daemonApi = defineApi({
  title: "Bureau daemon",
  version: "1",
  routes: {
    health: {
      method: "GET",
      path: "/health",
      summary: "Alive",
      response: z.object({ ready: z.optional(z.boolean()) }),
    },
  },
});

/** Programs that ran when an upgrade began: principal → when it was started. */
export type Baseline = ReadonlyMap<string, number>;

/** One answer: a process that accepts and says nothing is as good as none. */
const ANSWER_MS = 5_000;

async function principals(socket: string): Promise<readonly Principal[]> {
  const client = createClient(launcherApi, { socket });
  try {
    return (await client.call("list", { signal: AbortSignal.timeout(ANSWER_MS) })).principals;
  } finally {
    client.close();
  }
}

/** @returns when the programs that run now were started, by principal */
export async function runningNow(socket: string): Promise<Baseline> {
  const running = (await principals(socket)).filter(({ phase }) => phase === "running");
  return new Map(running.map(({ principal, started_at }) => [principal, started_at]));
}

/** A proxy that never came, or a program that was not taken over. */
export function lostAgent(before: Baseline, now: readonly Principal[]): string | null {
  for (const { principal, phase, proxy } of now) {
    if (phase === "running" && !proxy.ready) return `the proxy of ${principal} is not ready`;
  }
  const present = new Map(now.map((one) => [one.principal, one]));
  for (const [principal, startedAt] of before) {
    const one = present.get(principal);
    if (one === undefined) return `${principal} is gone`;
    // As a launcher writes down what it did not find: an end of its own has last lines, or another status.
    const missed = one.exit !== null && one.exit.code === 137 && one.exit.output.length === 0;
    if (one.started_at === startedAt && missed) return `${principal} was not taken over`;
  }
  return null;
}

/** @returns what is wrong, or null */
export async function illness(watched: Watched, before: Baseline): Promise<string | null> {
  for (const { name, state, message } of watched.processes()) {
    if (state !== "running") {
      return `the ${name} is ${state}${message === null ? "" : `: ${message}`}`;
    }
  }
  try {
    const lost = lostAgent(before, await principals(watched.launcherSocket));
    if (lost !== null) return lost;
  } catch (thrown) {
    return `the launcher does not answer: ${messageOf(thrown)}`;
  }
  const daemon = createClient(daemonApi, { socket: watched.daemonSocket });
  try {
    const { ready } = await daemon.call("health", { signal: AbortSignal.timeout(ANSWER_MS) });
    return ready === false ? "the daemon has no launcher, or no homeserver" : null;
  } catch (thrown) {
    return `the daemon does not answer: ${messageOf(thrown)}`;
  } finally {
    daemon.close();
  }
}
