// SPDX-License-Identifier: Apache-2.0

/** What `metrics` gives as JSON. */
import * as z from "zod/mini";

export const metrics = z.object({
  samples: z.array(z.object({
    /** With `_bucket`, `_sum` and `_count` of a histogram. */
    name: z.string(),
    labels: z.record(z.string(), z.string()),
    value: z.number(),
  })),
});
