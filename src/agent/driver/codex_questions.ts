// SPDX-License-Identifier: Apache-2.0

/** What Codex asks before it does something, and how it is answered. */
import type { ApprovalRequest } from "./driver.ts";
import { objectOf, textOf } from "./lines.ts";

/** How it asks about tools of MCP servers, and how such servers ask for what nobody has an answer to. */
const ELICITATION = "mcpServer/elicitation/request";

/** @returns null: it is no question about a tool call */
export function questionOf(
  method: string,
  params: Record<string, unknown>,
): ApprovalRequest | null {
  const question = { id: textOf(params["itemId"]), reason: textOf(params["reason"]) || null };
  switch (method) {
    case "item/fileChange/requestApproval": {
      const input = { grant_root: params["grantRoot"] ?? null };
      return { ...question, tool: "apply_patch", input };
    }
    case "item/commandExecution/requestApproval": {
      const input = { command: params["command"] ?? null, cwd: params["cwd"] ?? null };
      return { ...question, tool: "exec", input };
    }
    case ELICITATION: {
      const meta = objectOf(params["_meta"]);
      if (meta["codex_approval_kind"] !== "mcp_tool_call") return null;
      const tool = `mcp__${textOf(params["serverName"])}__${textOf(meta["tool_name"])}`;
      return { ...question, tool, input: meta["tool_params"] ?? null };
    }
    default:
      return null;
  }
}

export function answerTo(method: string, isAllowed: boolean): Record<string, unknown> {
  const verdict = isAllowed ? "accept" : "decline";
  if (method !== ELICITATION) return { decision: verdict };
  return { action: verdict, content: isAllowed ? {} : null };
}
