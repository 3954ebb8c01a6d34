// SPDX-License-Identifier: Apache-2.0

/** What `observe` gives as JSON. */
import * as z from "zod/mini";

export const observe = z.union([
  z.object({ principal: z.string(), reason: z.string() }),
  /** With `--dump`. */
  z.object({ principal: z.string(), lines: z.array(z.string()) }),
]);
