// SPDX-License-Identifier: Apache-2.0

/** What `list` gives as JSON. */
import * as z from "zod/mini";
import { daemonApi, PrincipalView } from "../../daemon/api.ts";

/** A line with `--watch`. */
export const line = z.object({
  principals: z.array(z.object({
    ...PrincipalView.shape,
    usage: z.nullable(daemonApi.routes.usage.response),
    /** Of one processor; null: nothing counts it. */
    cpu_percent: z.nullable(z.number()),
  })),
});
/** With `--watch` nothing at its end. */
export const list = z.optional(line);
