// SPDX-License-Identifier: Apache-2.0

/** What `list` gives as JSON. */
import * as z from "zod/mini";
import { daemonApi, PrincipalView } from "../../daemon/api.ts";

/** With `watch`, which is nothing for a program: nothing at its end. */
export const list = z.optional(z.object({
  principals: z.array(z.object({
    ...PrincipalView.shape,
    usage: z.nullable(daemonApi.routes.usage.response),
    /** Of one processor; null: nothing counts it. */
    cpu_percent: z.nullable(z.number()),
  })),
}));
