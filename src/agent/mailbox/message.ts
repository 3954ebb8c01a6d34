// SPDX-License-Identifier: Apache-2.0

/** What agents leave for one another. */
import * as z from "zod/mini";

export const MailMessage = z.object({
  /** The writer's own, of this one message: who has had it knows it again. */
  id: z.string().check(z.minLength(1), z.maxLength(200)),
  from: z.object({ session_id: z.string(), role: z.optional(z.nullable(z.string())) }),
  /** `task`, `ask`, `handoff`, `reply`, `mcp_request`, `mcp_reply`, or another that its reader knows. */
  kind: z.string().check(z.minLength(1), z.maxLength(64)),
  body: z.unknown(),
  /** RFC 3339 */
  created_at: z.string(),
  /** Of the message that this one answers. */
  correlation_id: z.optional(z.nullable(z.string().check(z.maxLength(200)))),
});
export type MailMessage = z.infer<typeof MailMessage>;

/** Of a file, and of a frame. */
export const MAX_MESSAGE_BYTES = 1024 * 1024;

/** The last ids, in a set that does not grow: what comes at least once is taken once. */
export class Seen {
  readonly #ids = new Set<string>();
  readonly #most: number;

  constructor(most = 4096) {
    this.#most = most;
  }

  /** @returns whether it is new */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size > this.#most) this.#ids.delete(this.#ids.values().next().value!);
    return true;
  }

  /** It was not dealt with: let it come again. */
  remove(id: string): void {
    this.#ids.delete(id);
  }
}
