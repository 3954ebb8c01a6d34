// SPDX-License-Identifier: Apache-2.0

/**
 * What is said before the frames of `worker/frames.ts`, and after them: here is a spec, and have a worker for it, or
 * none. Over any WebSocket whose two ends know each other already.
 */
import * as z from "zod/mini";
import { MAX_SPEC_BYTES } from "../provision/mod.ts";

const PlaceFrame = z.object({
  kind: z.literal("place"),
  /** The document itself, as text: it is read by whoever reads a worker's standard input. Secret. */
  spec: z.string(),
});

const Placed = z.object({
  kind: z.literal("placed"),
  /** As the worker is called there. */
  agent_id: z.string().check(z.maxLength(512)),
  executor: z.string().check(z.maxLength(64)),
  /** Which restrictions it keeps (`fabric/record.ts`). */
  enforces: z.array(z.string().check(z.maxLength(64))).check(z.maxLength(64)),
});

export type PlacedRecord = z.infer<typeof Placed>;

const Refused = z.object({
  kind: z.literal("refused"),
  code: z.string().check(z.regex(/^[a-z][a-z-]{0,63}$/)),
  message: z.string(),
  hint: z.optional(z.string()),
});

const Answer = z.discriminatedUnion("kind", [Placed, Refused]);
export type PlaceAnswer = z.infer<typeof Answer>;

/** A text in JSON takes twice its length, where all of it has to be escaped. */
const MAX_PLACE_CHARACTERS = 2 * MAX_SPEC_BYTES + 64;
const MAX_ANSWER_CHARACTERS = 32 * 1024;

export const placeFrame = (spec: string): string => JSON.stringify({ kind: "place", spec });
export const answerFrame = (answer: PlaceAnswer): string => JSON.stringify(answer);
/** The worker is of no further use: not even one that could be kept for another. */
export const END_FRAME = '{"kind":"end"}';
/** That something came: nothing but a reason to send a packet. */
export const HEARD_FRAME = '{"kind":"heard"}';

/** The spec's text; null for anything else. */
export function readPlace(data: unknown): string | null {
  const frame = read(PlaceFrame, data, MAX_PLACE_CHARACTERS);
  return frame?.spec ?? null;
}

export function readAnswer(data: unknown): PlaceAnswer | null {
  return read(Answer, data, MAX_ANSWER_CHARACTERS);
}

function read<T extends z.ZodMiniType>(type: T, data: unknown, max: number): z.output<T> | null {
  if (typeof data !== "string" || data.length > max) return null;
  try {
    const parsed = z.safeParse(type, JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
