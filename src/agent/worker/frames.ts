// SPDX-License-Identifier: Apache-2.0

/** What parent and worker say to each other: JSON texts over a WebSocket, each of one `kind`. */
import * as z from "zod/mini";

const absent = <T extends z.ZodMiniType>(type: T) =>
  z.pipe(z.optional(z.nullable(type)), z.transform((value) => value ?? undefined));

const RunFrame = z.object({
  kind: z.literal("run"),
  assignment: z.string(),
  reasoning_effort: absent(z.string()),
  /** Oldest first, the assignment's own among them; absent: the first activation. */
  messages: absent(z.array(z.json())),
});
export type RunFrame = z.infer<typeof RunFrame>;

const ParentFrame = z.discriminatedUnion("kind", [
  RunFrame,
  z.object({ kind: z.literal("cancel") }),
  /** For the run that is on; nobody's when none is. */
  z.object({ kind: z.literal("message"), text: z.string() }),
  z.object({ kind: z.literal("approval_reply"), id: z.string(), approved: z.boolean() }),
]);
export type ParentFrame = z.infer<typeof ParentFrame>;
/** As it is written: what is absent may be missing. */
export type ParentMessage = z.input<typeof ParentFrame>;

const Terminal = z.object({
  kind: z.literal("terminal"),
  /** No worker suspends yet; to a parent it is an error. */
  status: z.enum(["completed", "error", "cancelled", "suspended"]),
  result: absent(z.string()),
  error: absent(z.string()),
  transcript: absent(z.array(z.json())),
});
export type Terminal = z.infer<typeof Terminal>;
/** How a run can end here. */
export type Outcome =
  | { readonly status: "completed"; readonly result: string }
  | { readonly status: "error"; readonly error: string }
  | { readonly status: "cancelled" };

const WorkerFrame = z.discriminatedUnion("kind", [
  /** Verbatim, and opaque to the protocol. */
  z.object({ kind: z.literal("event"), event: z.json() }),
  z.object({ kind: z.literal("approval_request"), id: z.string(), body: z.json() }),
  Terminal,
]);
export type WorkerFrame = z.infer<typeof WorkerFrame>;
export type WorkerMessage = z.input<typeof WorkerFrame>;

/** More than any event is; a text of this length in a frame is a fault. */
export const MAX_FRAME_CHARACTERS = 16 * 1024 * 1024;

/** Null for what a worker does not understand, which it leaves alone. */
export function readParentFrame(data: unknown): ParentFrame | null {
  return read(ParentFrame, data);
}

/** Null for what no worker says: an error to its parent. */
export function readWorkerFrame(data: unknown): WorkerFrame | null {
  return read(WorkerFrame, data);
}

function read<T extends z.ZodMiniType>(type: T, data: unknown): z.output<T> | null {
  if (typeof data !== "string" || data.length > MAX_FRAME_CHARACTERS) return null;
  try {
    const parsed = z.safeParse(type, JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
