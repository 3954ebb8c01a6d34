// SPDX-License-Identifier: Apache-2.0

/** A tool call that needs somebody's leave, and what became of the question. */
import * as z from "zod/mini";
import { PERMISSIONS } from "./limits.ts";

export const Permission = z.enum(PERMISSIONS);
export type Permission = z.infer<typeof Permission>;

/** What the asker says. Its words are an agent's: nobody's facts. */
export const ApprovalRequest = z.object({
  /** The asker's own name for this one call; the same key is the same question. */
  key: z.string(),
  tool: z.string(),
  permission: Permission,
  /** The command, the path, the address: what the call is about. */
  resource: z.string(),
});
export type ApprovalRequest = z.infer<typeof ApprovalRequest>;

/**
 * - `pending`: nobody has decided
 * - `decided`: somebody has, and the asker does not have the answer yet
 * - `delivered`: the asker has it; it is used up
 * - `failed`: the asker is gone, or nobody could be asked; denied, whatever was decided
 * - `expired`: nobody decided in time; denied
 */
export const ApprovalState = z.enum(["pending", "decided", "delivered", "failed", "expired"]);
export type ApprovalState = z.infer<typeof ApprovalState>;

export const Approval = z.extend(ApprovalRequest, {
  /** Unguessable. */
  id: z.string(),
  /** Whose call it is; a full localpart at the daemon. */
  asker: z.string(),
  /** Milliseconds since the epoch. */
  since: z.number(),
  until: z.number(),
  state: ApprovalState,
  /** Null: nobody decided. */
  verdict: z.nullable(z.enum(["approve", "deny"])),
  /** User id, or who else. */
  by: z.nullable(z.string()),
  via: z.nullable(z.enum(["reaction", "reply", "cli", "model", "policy", "parent"])),
  /** Of the last change. */
  at: z.number(),
  /** Of the message that tells people, once there is one. */
  event_id: z.nullable(z.string()),
});
export type Approval = z.infer<typeof Approval>;

export type Verdict = "approve" | "deny";

export interface Decider {
  readonly by: string;
  readonly via: NonNullable<Approval["via"]>;
}

/** What the asker is told. */
export interface Answer {
  readonly approved: boolean;
  /** A sentence without its subject. */
  readonly why: string;
}
