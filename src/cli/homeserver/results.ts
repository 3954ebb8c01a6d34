// SPDX-License-Identifier: Apache-2.0

/** What the commands of `homeserver` give as JSON. */
import * as z from "zod/mini";

export const stats = z.object({
  started_at: z.number(),
  requests: z.array(z.object({
    method: z.string(),
    route: z.string(),
    status: z.number(),
    count: z.number(),
  })),
  rate_limited: z.number(),
  sync: z.object({ waiting: z.number(), answered: z.number(), empty: z.number() }),
  database: z.object({
    bytes: z.number(),
    wal_bytes: z.number(),
    commits: z.number(),
    writes: z.number(),
    failed_commits: z.number(),
    rows: z.record(z.string(), z.number()),
  }),
});
export const backup = z.object({
  path: z.string(),
  bytes: z.number(),
  media_files: z.number(),
  events: z.number(),
  removed: z.number(),
});
export const compact = z.object({
  bytes_before: z.number(),
  bytes_after: z.number(),
  removed: z.object({
    transactions: z.number(),
    to_device: z.number(),
    media_files: z.number(),
  }),
});
