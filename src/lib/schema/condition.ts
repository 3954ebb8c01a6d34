// SPDX-License-Identifier: Apache-2.0

/** What of a room's state a principal waits for. */
import * as z from "zod/mini";

const Scalar = z.union([z.string(), z.number(), z.boolean()]);

/** Operators on one field; all of them must hold. Strict: an operator that isn't known must not be passed over. */
const Operators = z.strictObject({
  /** It is this. */
  $eq: z.optional(Scalar),
  /** It is less. */
  $lt: z.optional(z.number()),
  /** It is this or less. */
  $lte: z.optional(z.number()),
  /** It is more. */
  $gt: z.optional(z.number()),
  /** It is this or more. */
  $gte: z.optional(z.number()),
  /** It is one of these. */
  $in: z.optional(z.array(Scalar).check(z.minLength(1))),
}).check(z.refine((operators) => Object.keys(operators).length > 0));

/** Field of an event's content → the value it must have, or operators on it. All fields must match. */
export const ContentMatch = z.record(z.string(), z.union([Scalar, Operators]));
export type ContentMatch = z.infer<typeof ContentMatch>;

/** A state event that must be there, and not cleared, for the principal to run. */
export const StartCondition = z.object({
  /** Type of the state event. */
  event_type: z.string().check(z.minLength(1)),
  /** Absent: the empty key. */
  state_key: z.optional(z.string()),
  /** `#room:server`. Absent: the machine's config room. */
  room_alias: z.optional(z.string().check(z.regex(/^#[^:\s]+:\S+$/))),
  /** Absent: any content. */
  content_match: z.optional(ContentMatch),
});
export type StartCondition = z.infer<typeof StartCondition>;

/** The event that a principal was started for, as `/run/bureau/trigger.json` has it. */
export const Trigger = z.object({
  type: z.string(),
  state_key: z.string(),
  room_id: z.string(),
  sender: z.string(),
  event_id: z.optional(z.string()),
  /** ms epoch, by its homeserver's clock. */
  origin_server_ts: z.optional(z.number()),
  content: z.record(z.string(), z.unknown()),
});
export type Trigger = z.infer<typeof Trigger>;
