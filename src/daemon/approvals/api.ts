// SPDX-License-Identifier: Apache-2.0

/** Tool calls that agents ask leave for, as the daemon's socket shows and takes them. */
import * as z from "zod/mini";
import { KEY, MAX_RESOURCE, MAX_TOOL } from "../../lib/approval/limits.ts";
import { ApprovalState, Permission } from "../../lib/approval/types.ts";

export const ApprovalView = z.object({
  /** Its first letters are enough to name it, where no other has the same. */
  id: z.string(),
  /** Full localpart; of a worker that a person started the person's user id. */
  principal: z.string(),
  /** These three are the agent's own words, made harmless to show. */
  tool: z.string(),
  permission: Permission,
  resource: z.string(),
  /** Milliseconds since the epoch. */
  since: z.number(),
  /** Unanswered it is denied then. */
  until: z.number(),
  state: ApprovalState,
  /** Null: nobody decided. */
  verdict: z.nullable(z.enum(["approve", "deny"])),
  by: z.nullable(z.string()),
  via: z.nullable(z.string()),
  /** Of its last change. */
  at: z.number(),
});
export type ApprovalView = z.infer<typeof ApprovalView>;

export const ApprovalsAnswer = z.object({
  /** Oldest first. */
  pending: z.array(ApprovalView),
  /** The last hundred, newest first. */
  ended: z.array(ApprovalView),
});
export type ApprovalsAnswer = z.infer<typeof ApprovalsAnswer>;

export const DecideApproval = z.object({
  /** Whole, or its first letters: at least four. */
  id: z.string(),
  verdict: z.enum(["approve", "deny"]),
});
export type DecideApproval = z.infer<typeof DecideApproval>;

export const AskApproval = z.object({
  /** Of this one call: asked again it is the same question. */
  key: z.string().check(z.regex(KEY)),
  tool: z.string().check(z.minLength(1), z.maxLength(MAX_TOOL)),
  permission: Permission,
  resource: z.string().check(z.maxLength(MAX_RESOURCE)),
});

export const AskedApproval = z.object({
  /** False: ask again, with the same key. */
  decided: z.boolean(),
  approved: z.optional(z.boolean()),
  why: z.optional(z.string()),
});

export const approvalRoutes = {
  approvals: {
    method: "GET",
    path: "/v1/approvals",
    summary:
      "Tool calls that agents ask leave for, and the last that ended; of each agent on which one has the right `grant/approve/tool`, but for oneself",
    response: ApprovalsAnswer,
  },
  decideApproval: {
    method: "POST",
    path: "/v1/approvals/decide",
    summary: "Allow one tool call, or refuse it; rights as for the list. The first answer counts",
    request: DecideApproval,
    response: ApprovalView,
  },
  askApproval: {
    method: "POST",
    path: "/v1/approvals/ask",
    summary:
      "Ask leave for a tool call of a worker that one started oneself; right `grant/approve/tool` on the machine, and whoever has it decides. Answers within 20 s",
    request: AskApproval,
    response: AskedApproval,
  },
  withdrawApproval: {
    method: "POST",
    path: "/v1/approvals/withdraw",
    summary: "Nobody waits for the answer any more; of questions that one asked oneself",
    request: z.pick(AskApproval, { key: true }),
  },
  followApprovals: {
    method: "GET",
    path: "/v1/approvals/events",
    summary:
      "Server-sent events: the answer of `/v1/approvals` at once and after each change; rights as for the list",
    kind: "sse",
  },
} as const;
