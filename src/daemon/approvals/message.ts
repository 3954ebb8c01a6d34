// SPDX-License-Identifier: Apache-2.0

/** The words of a question about a tool call. Programs read `m.bureau.tool_approval`; people read the body. */
import type { Approval } from "../../lib/approval/types.ts";
import { noticePart } from "../../lib/schema/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { ApprovalView } from "./api.ts";
import { askerName } from "./workers.ts";

type Content = Record<string, unknown>;

/** Without what only programs need; an agent's words are made harmless once, here. */
export function viewOf(approval: Approval): ApprovalView {
  const { id, asker, tool, permission, resource, since, until, state, verdict, by, via, at } =
    approval;
  return {
    ...{ id, principal: asker, tool: neutraliseLine(tool), permission },
    ...{ resource: neutraliseLine(resource), since, until, state, verdict, by, via, at },
  };
}

function part(approval: Approval): Content {
  const { since, until, by, via, at: _, ...rest } = viewOf(approval);
  return noticePart("tool_approval", {
    ...rest,
    since: Math.trunc(since),
    until: Math.trunc(until),
    ...(by === null ? {} : { by, via }),
  });
}

export function approvalContent(approval: Approval, admins: readonly string[]): Content {
  const { id, principal, tool, permission, resource, since, until } = viewOf(approval);
  const seconds = Math.round((until - since) / 1000);
  return {
    // No notice: clients ring for a text.
    msgtype: "m.text",
    body: [
      `${askerName(principal)} asks whether it may call a tool (approval ${id.slice(0, 6)}):`,
      `> ${tool} (${permission}): ${resource}`,
      "React ✅ to allow this one call, ❌ to refuse; or reply `approve`, `deny`.",
      `Unanswered it is refused after ${seconds} s.`,
    ].join("\n"),
    "m.mentions": { user_ids: [...admins] },
    ...part(approval),
  };
}

export function endContent(approval: Approval): Content {
  return {
    msgtype: "m.text",
    body: `${sentenceOf(approval)} (approval ${approval.id.slice(0, 6)})`,
    "m.mentions": {},
    ...part(approval),
  };
}

function sentenceOf(approval: Approval): string {
  const { principal, tool, resource, state, verdict, by } = viewOf(approval);
  const what = `${askerName(principal)} → ${tool}: ${resource}`;
  if (state === "expired") return `⌛ ${what}: refused, nobody answered in time`;
  if (state === "failed") {
    return `⌛ ${what}: void, the agent was gone before it had an answer; a new call asks anew`;
  }
  return verdict === "approve"
    ? `✅ ${what}: allowed, this once, by ${by}`
    : `❌ ${what}: refused by ${by}`;
}

/** A tool call is decided by itself; what should hold for longer is the agent's own settings. */
export const onlyOnce: Content = {
  msgtype: "m.notice",
  body: "A tool call is decided this once only: reply `approve` or `deny`.",
};
