// SPDX-License-Identifier: Apache-2.0

/**
 * Anthropic's Messages API: bodies, errors and the order of stream events as
 * docs.anthropic.com/en/api/messages-streaming gives them.
 */
import {
  type Ask,
  cut,
  DEFAULT_USAGE,
  fieldsOf,
  listOf,
  nextId,
  type Say,
  type ServerEvent,
  textOf,
  type WireFormat,
} from "./script.ts";

function readAsk(body: Readonly<Record<string, unknown>>): Ask {
  const toolResults: string[] = [];
  let lastText = "";
  for (const message of listOf(body["messages"]).map(fieldsOf)) {
    if (message["role"] !== "user") continue;
    for (const block of listOf(message["content"]).map(fieldsOf)) {
      if (block["type"] === "tool_result") toolResults.push(textOf(block["content"]));
    }
    const text = textOf(message["content"]);
    if (text !== "") lastText = text;
  }
  return {
    api: "anthropic",
    model: String(body["model"] ?? ""),
    stream: body["stream"] === true,
    lastText,
    toolResults,
    tools: listOf(body["tools"]).map((tool) => String(fieldsOf(tool)["name"])),
    body,
  };
}

function blocksOf(say: Say): Record<string, unknown>[] {
  const blocks: Record<string, unknown>[] = [];
  if (say.thinking !== undefined) {
    blocks.push({ type: "thinking", thinking: say.thinking, signature: "c2lnbmF0dXJl" });
  }
  if (say.text !== undefined) blocks.push({ type: "text", text: say.text.join("") });
  for (const { name, input } of say.tools ?? []) {
    blocks.push({ type: "tool_use", id: nextId("toolu_"), name, input });
  }
  return blocks;
}

function stopReason(say: Say): string {
  return say.stop ?? ((say.tools ?? []).length > 0 ? "tool_use" : "end_turn");
}

function usageOf(say: Say): Record<string, number> {
  const { input, output, cacheRead = 0, cacheWrite = 0 } = say.usage ?? DEFAULT_USAGE;
  return {
    input_tokens: input,
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cacheRead,
    output_tokens: output,
  };
}

function whole(ask: Ask, say: Say): Record<string, unknown> {
  return {
    id: nextId("msg_"),
    type: "message",
    role: "assistant",
    model: ask.model,
    content: blocksOf(say),
    stop_reason: stopReason(say),
    stop_sequence: null,
    usage: usageOf(say),
  };
}

/** Start and deltas of one content block. */
function blockEvents(block: Record<string, unknown>, say: Say): [unknown, unknown[]] {
  switch (block["type"]) {
    case "thinking":
      return [{ type: "thinking", thinking: "", signature: "" }, [
        { type: "thinking_delta", thinking: block["thinking"] },
        { type: "signature_delta", signature: block["signature"] },
      ]];
    case "text":
      return [
        { type: "text", text: "" },
        (say.text ?? []).map((text) => ({ type: "text_delta", text })),
      ];
    default:
      return [
        { ...block, input: {} },
        ["", ...cut(JSON.stringify(block["input"]))]
          .map((partial_json) => ({ type: "input_json_delta", partial_json })),
      ];
  }
}

function events(ask: Ask, say: Say): ServerEvent[] {
  const message = whole(ask, say);
  const usage = usageOf(say);
  const found: Record<string, unknown>[] = [{
    type: "message_start",
    message: {
      ...message,
      content: [],
      stop_reason: null,
      usage: { ...usage, output_tokens: 1 },
    },
  }];
  for (const [index, block] of (message["content"] as Record<string, unknown>[]).entries()) {
    const [content_block, deltas] = blockEvents(block, say);
    found.push({ type: "content_block_start", index, content_block });
    if (index === 0) found.push({ type: "ping" });
    for (const delta of deltas) found.push({ type: "content_block_delta", index, delta });
    found.push({ type: "content_block_stop", index });
  }
  found.push(
    {
      type: "message_delta",
      delta: { stop_reason: stopReason(say), stop_sequence: null },
      usage,
    },
    { type: "message_stop" },
  );
  return found.map((data) => ({ event: String(data["type"]), data }));
}

/** Ids of a message's blocks of one kind. */
function idsOf(message: unknown, type: string, field: string): string[] {
  return listOf(fieldsOf(message)["content"]).map(fieldsOf)
    .filter((block) => block["type"] === type).map((block) => String(block[field]));
}

function fault(body: Readonly<Record<string, unknown>>, headers: Headers): string | null {
  if (headers.get("anthropic-version") === null) return "anthropic-version: header is required";
  if (typeof body["model"] !== "string") return "model: Field required";
  const messages = listOf(body["messages"]).map(fieldsOf);
  if (messages.length === 0) return "messages: at least one message is required";
  if (messages[0]!["role"] !== "user") return 'messages: first message must use the "user" role';
  for (const [at, message] of messages.entries()) {
    if (message["content"] === "" || listOf(message["content"]).some(isEmptyText)) {
      return `messages.${at}: text content blocks must be non-empty`;
    }
    const asked = idsOf(messages[at - 1], "tool_use", "id");
    const given = idsOf(message, "tool_result", "tool_use_id");
    const unasked = given.find((id) => !asked.includes(id));
    if (unasked !== undefined) {
      return `messages.${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${unasked}. ` +
        "Each `tool_result` block must have a corresponding `tool_use` block in the previous message.";
    }
    const open = asked.filter((id) => !given.includes(id));
    if (open.length > 0) {
      return `messages.${at - 1}: \`tool_use\` ids were found without \`tool_result\` blocks ` +
        `immediately after: ${open.join(", ")}.`;
    }
  }
  return idsOf(messages.at(-1), "tool_use", "id").length > 0
    ? "messages: final assistant message has open `tool_use` blocks"
    : null;
}

function isEmptyText(block: unknown): boolean {
  const { type, text } = fieldsOf(block);
  return type === "text" && text === "";
}

export const anthropic: WireFormat = {
  api: "anthropic",
  readAsk,
  fault: (body, headers) =>
    fault(body, headers) ??
      (typeof body["max_tokens"] === "number" ? null : "max_tokens: Field required"),
  whole,
  events,
  error: ({ type, message }, request_id) => ({
    type: "error",
    error: { type, message },
    request_id,
  }),
  errorEvent: () => ({
    event: "error",
    data: { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
  }),
};
