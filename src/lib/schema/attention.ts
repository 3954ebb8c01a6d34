// SPDX-License-Identifier: Apache-2.0

/** How it is found out whether an agent needs a person, beyond what is known of every terminal. */
import * as z from "zod/mini";

export const MAX_WAITING = 16;

/** What tells that it needs a person, or has nothing to do. */
export const AttentionSettings = z.object({
  /** Patterns of lines by which its terminal asks for somebody; as `lib/regex` takes them. Hot. */
  waiting: z.optional(z.array(z.string())),
  /** Without output for so long it has nothing to do; 5 to 86400, default 300. Hot. */
  idle_after_seconds: z.optional(z.int().check(z.minimum(5), z.maximum(86_400))),
});
export type AttentionSettings = z.infer<typeof AttentionSettings>;
