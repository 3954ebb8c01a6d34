// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { Signature } from "./signature.ts";

/** 32 bytes. */
const hex32 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const seconds = z.int().check(z.minimum(0), z.maximum(3_600));

/**
 * `m.bureau.bureau_version`, state key = the machine, in its config room: which release an operator wants it to run
 * from. Carried out once, by whoever supervises its processes, who verifies the signature.
 */
export const BureauVersion = z.object({
  /** Another one was written by a newer Bureau, and is refused. */
  version: z.literal(1),
  /** User id. */
  machine: z.string(),
  /** Digest of a release that lies in the machine's `releases/`. */
  release: hex32,
  /** Though it failed there before. */
  again: z.optional(z.boolean()),
  /** So long it must have worked before it counts as good. */
  settle_seconds: z.optional(seconds),
  /** By then it must work, or the release before it is taken again. */
  deadline_seconds: z.optional(seconds),
  /** User id of the operator who signed it. */
  issued_by: z.string(),
  /** Milliseconds since the epoch; an older one than the last is ignored. */
  issued_at: z.int(),
  signature: Signature,
});
export type BureauVersion = z.infer<typeof BureauVersion>;
