// SPDX-License-Identifier: Apache-2.0

/**
 * What every process tells of itself, at the cost of one look. Needs no permission; open files are not told, because
 * Deno shows /proc to nobody without all of them.
 */
import type { Measured } from "./measure.ts";

const startedAt = Date.now() / 1000;

export function processMetrics(): Measured {
  const { rss, heapTotal, heapUsed, external } = Deno.memoryUsage();
  return {
    bureau_process_start_time_seconds: startedAt,
    bureau_process_resident_memory_bytes: rss,
    bureau_process_heap_bytes: heapTotal,
    bureau_process_heap_used_bytes: heapUsed,
    bureau_process_external_memory_bytes: external,
  };
}
