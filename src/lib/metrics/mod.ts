// SPDX-License-Identifier: Apache-2.0

/**
 * Metrics of Bureau's own processes. Loads no schema library, and nothing else that costs memory: proxies and relays have
 * it too. `load.ts` is for the others. (`prom-client` would take 12 MB in each process, finds /proc closed, and reads nothing
 * of what another process tells, which here is the larger part.)
 */
import type { Measured } from "./measure.ts";
import { processMetrics } from "./process.ts";
import { metricsResponse, MetricText } from "./text.ts";

export * from "./catalogue.ts";
export * from "./measure.ts";
export * from "./process.ts";
export * from "./read.ts";
export * from "./text.ts";

/** The answer of a process that tells of itself alone. */
export function ownMetrics(request: Request, ...measured: readonly Measured[]): Response {
  const text = new MetricText().add(processMetrics());
  for (const each of measured) text.add(each);
  return metricsResponse(request, text);
}
