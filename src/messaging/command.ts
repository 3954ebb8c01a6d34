// SPDX-License-Identifier: Apache-2.0

/** `m.bureau.command` and its answers, as they stand in a room: messages whose `msgtype` names them. */
import * as z from "zod/mini";
import type { Content, MatrixEvent } from "./types.ts";

export const COMMAND = "m.bureau.command";
export const COMMAND_RESULT = "m.bureau.command_result";

/** A request to one account in the room. */
export const Command = z.object({
  msgtype: z.literal(COMMAND),
  /** For people, whose clients don't know commands. */
  body: z.string(),
  /** Dotted name, e.g. `workspace.status`. */
  command: z.string(),
  parameters: z.optional(z.record(z.string(), z.unknown())),
  /** Chosen by the caller, and never used twice. */
  request_id: z.string(),
  /** User id of who shall do it. */
  to: z.string(),
  /** Milliseconds since the epoch: not begun after it, and given up at it. */
  expires_at: z.number(),
});
export type Command = z.infer<typeof Command>;

/** `accepted` any number of times, then exactly one `success` or `error`; in a thread below the command. */
export const CommandResult = z.object({
  msgtype: z.literal(COMMAND_RESULT),
  body: z.string(),
  status: z.enum(["accepted", "success", "error"]),
  request_id: z.string(),
  result: z.optional(z.unknown()),
  error: z.optional(z.object({ code: z.string(), message: z.string() })),
  duration_ms: z.optional(z.number()),
});
export type CommandResult = z.infer<typeof CommandResult>;

/** @returns null for what is no command, or a malformed one */
export function readCommand(event: MatrixEvent): Command | null {
  return event.type === "m.room.message" ? read(Command, event.content) : null;
}

/** @returns null for what is no answer to a command, or a malformed one */
export function readCommandResult(event: MatrixEvent): CommandResult | null {
  return event.type === "m.room.message" ? read(CommandResult, event.content) : null;
}

function read<T extends z.ZodMiniType>(schema: T, content: Content): z.infer<T> | null {
  const parsed = schema.safeParse(content);
  return parsed.success ? parsed.data : null;
}
