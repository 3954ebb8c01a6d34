// SPDX-License-Identifier: Apache-2.0

/**
 * How busy a process is. Not for those that each principal has one of, proxies and relays: `node:process` and a first
 * timer take 5 MB of memory, which is nearly half of what such a process has.
 */
import process from "node:process";
import type { Measured } from "./measure.ts";

/** Long enough that a timer due at once is not what is measured. */
const TIMER_MS = 2;

export async function loadMetrics(): Promise<Measured> {
  const { user, system } = process.cpuUsage();
  return {
    bureau_process_cpu_seconds_total: (user + system) / 1e6,
    bureau_process_event_loop_delay_seconds: await eventLoopDelay(),
  };
}

async function eventLoopDelay(): Promise<number> {
  const from = performance.now();
  await new Promise((resolve) => setTimeout(resolve, TIMER_MS));
  const late = Math.max(0, performance.now() - from - TIMER_MS);
  return Math.round(late * 1000) / 1e6;
}
