// SPDX-License-Identifier: Apache-2.0

/** The parent's side: who decides about a child's call. The first that there is decides; the others are not asked. */
import { Permission } from "../../lib/approval/types.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Leave } from "../../lib/proxyclient/mod.ts";
import type { GatedCall } from "./call.ts";
import { type AskLeave, bounded } from "./gate.ts";
import * as z from "zod/mini";
import { MAX_RESOURCE, MAX_TOOL } from "../../lib/approval/limits.ts";

export interface ParentDeciders {
  /** A model, where this parent itself is not to wait for people. */
  readonly review?: AskLeave;
  readonly policy?: AskLeave;
  /** This parent is a child itself: its own parent is asked, and so on up. */
  readonly escalate?: AskLeave;
  readonly human?: AskLeave;
  readonly clock?: Clock;
}

/** Of an `approval_request`: what a worker sends its parent. A worker that is led astray writes it, so it is read like a stranger's. */
const Body = z.object({
  tool_name: z.string().check(z.minLength(1), z.maxLength(MAX_TOOL)),
  permission: Permission,
  resource: z.string().check(z.maxLength(MAX_RESOURCE)),
  reason: z.optional(z.string().check(z.maxLength(MAX_RESOURCE))),
});

export const approvalBody = ({ tool, permission, resource, reason }: GatedCall) => ({
  tool_name: tool,
  permission,
  resource,
  ...(reason === undefined ? {} : { reason }),
});

/** Decides about what a child sent. Whatever is no question is denied; it never throws. */
export function createParentDecider(
  { review, policy, escalate, human, clock }: ParentDeciders,
): (body: unknown, signal: AbortSignal) => Promise<Leave> {
  const decide = review ?? policy ?? escalate ?? human;
  return async (body, signal) => {
    const parsed = z.safeParse(Body, body);
    if (!parsed.success) return { approved: false, why: "it is no question" };
    if (decide === undefined) return { approved: false, why: "nobody is there who could decide" };
    const { tool_name: tool, permission, resource, reason } = parsed.data;
    const call = { tool, permission, resource, ...(reason === undefined ? {} : { reason }) };
    return await bounded(decide, call, signal, clock);
  };
}
