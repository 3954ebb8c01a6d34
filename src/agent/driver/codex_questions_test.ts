// SPDX-License-Identifier: Apache-2.0

/** What Codex 0.169.0 asked, and what it took for an answer: recorded, and cut to what is read. */
import assert from "node:assert/strict";
import { answerTo, questionOf } from "./codex_questions.ts";

const ELICITATION = "mcpServer/elicitation/request";
const MCP_CALL = {
  serverName: "bureau",
  mode: "form",
  _meta: {
    codex_approval_kind: "mcp_tool_call",
    tool_name: "bureau_http_openai",
    tool_params: { path: "/none", method: "DELETE" },
  },
};

Deno.test("Codex asks about commands, patches and tools of MCP servers; about nothing else an answer is known", () => {
  const command = { itemId: "i1", command: "rm x", cwd: "/w", reason: "it must" };
  assert.deepEqual(questionOf("item/commandExecution/requestApproval", command), {
    id: "i1",
    reason: "it must",
    tool: "exec",
    input: { command: "rm x", cwd: "/w" },
  });
  assert.equal(questionOf("item/fileChange/requestApproval", {})?.tool, "apply_patch");
  assert.deepEqual(questionOf(ELICITATION, MCP_CALL), {
    id: "",
    reason: null,
    tool: "mcp__bureau__bureau_http_openai",
    input: { path: "/none", method: "DELETE" },
  });
  // A server's own question has a form to fill in: a yes would be somebody's word.
  assert.equal(questionOf(ELICITATION, { ...MCP_CALL, _meta: null }), null);
  assert.equal(questionOf("item/tool/requestUserInput", {}), null);
  assert.deepEqual(answerTo(ELICITATION, true), { action: "accept", content: {} });
  assert.deepEqual(answerTo(ELICITATION, false), { action: "decline", content: null });
  assert.deepEqual(answerTo("item/fileChange/requestApproval", false), { decision: "decline" });
});
