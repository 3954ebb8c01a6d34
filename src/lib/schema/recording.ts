// SPDX-License-Identifier: Apache-2.0

/** What is kept of a terminal. */
import * as z from "zod/mini";

const MIB = 1024 * 1024;

/** How much of a principal's terminal is kept, and for how long. */
export const Recording = z.object({
  /** Absent: yes. */
  enabled: z.optional(z.boolean()),
  /** Of all recordings of the principal on disk, the oldest go first; 1 MiB to 1 TiB, default 256 MiB. */
  max_bytes: z.optional(z.int().check(z.minimum(MIB), z.maximum(MIB * MIB))),
  /** 1 to 3650, default 30. */
  keep_days: z.optional(z.int().check(z.minimum(1), z.maximum(3_650))),
});
export type Recording = z.infer<typeof Recording>;

/** With what stands for what it does not say. */
export function recordingLimits({ max_bytes, keep_days }: Recording): {
  readonly maxBytes: number;
  readonly keepMs: number;
} {
  return { maxBytes: max_bytes ?? 256 * MIB, keepMs: (keep_days ?? 30) * 86_400_000 };
}
