// SPDX-License-Identifier: Apache-2.0

/**
 * OpenAI's Chat Completions: bodies, errors and stream chunks as platform.openai.com/docs/api-reference/chat
 * gives them, the end with `[DONE]`.
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
  const messages = listOf(body["messages"]).map(fieldsOf);
  return {
    api: "openai-chat",
    model: String(body["model"] ?? ""),
    stream: body["stream"] === true,
    lastText: textOf(messages.findLast(({ role }) => role === "user")?.["content"]),
    toolResults: messages.filter(({ role }) => role === "tool")
      .map(({ content }) => textOf(content)),
    tools: listOf(body["tools"])
      .map((tool) => String(fieldsOf(fieldsOf(tool)["function"])["name"])),
    body,
  };
}

function callsOf(say: Say): { id: string; type: "function"; function: Record<string, string> }[] {
  return (say.tools ?? []).map(({ name, input }) => ({
    id: nextId("call_"),
    type: "function",
    function: { name, arguments: JSON.stringify(input) },
  }));
}

function usageOf(say: Say): Record<string, unknown> {
  const { input, output, cacheRead = 0 } = say.usage ?? DEFAULT_USAGE;
  // Here what the cache gave is a part of what was put in.
  const prompt_tokens = input + cacheRead;
  return {
    prompt_tokens,
    completion_tokens: output,
    total_tokens: prompt_tokens + output,
    prompt_tokens_details: { cached_tokens: cacheRead, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

const CREATED = 1_700_000_000;

function finish(say: Say): string {
  return say.stop ?? ((say.tools ?? []).length > 0 ? "tool_calls" : "stop");
}

function whole(ask: Ask, say: Say): Record<string, unknown> {
  const calls = callsOf(say);
  return {
    id: nextId("chatcmpl-"),
    object: "chat.completion",
    created: CREATED,
    model: ask.model,
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: say.text?.join("") ?? null,
        refusal: null,
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
      },
      logprobs: null,
      finish_reason: finish(say),
    }],
    usage: usageOf(say),
  };
}

function events(ask: Ask, say: Say): ServerEvent[] {
  const withUsage = fieldsOf(ask.body["stream_options"])["include_usage"] === true;
  const head = {
    id: nextId("chatcmpl-"),
    object: "chat.completion.chunk",
    created: CREATED,
    model: ask.model,
  };
  const chunk = (delta: unknown, finish_reason: string | null = null): ServerEvent => ({
    data: {
      ...head,
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      ...(withUsage ? { usage: null } : {}),
    },
  });
  const found = [chunk({ role: "assistant", content: "", refusal: null })];
  for (const content of say.text ?? []) found.push(chunk({ content }));
  for (const [index, call] of callsOf(say).entries()) {
    const { name, arguments: text } = call.function;
    found.push(chunk({ tool_calls: [{ ...call, index, function: { name, arguments: "" } }] }));
    for (const piece of cut(text!)) {
      found.push(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }));
    }
  }
  found.push(chunk({}, finish(say)));
  if (withUsage) found.push({ data: { ...head, choices: [], usage: usageOf(say) } });
  found.push({ data: "[DONE]" });
  return found;
}

function fault(body: Readonly<Record<string, unknown>>): string | null {
  if (typeof body["model"] !== "string") return "you must provide a model parameter";
  const messages = listOf(body["messages"]).map(fieldsOf);
  if (messages.length === 0) return "'messages' must not be empty";
  let open = new Set<string>();
  for (const [at, message] of messages.entries()) {
    if (message["role"] === "tool") {
      if (open.delete(String(message["tool_call_id"]))) continue;
      return `messages with role 'tool' must be a response to a preceding message with 'tool_calls' (${at})`;
    }
    if (open.size > 0) break;
    open = new Set(listOf(message["tool_calls"]).map((call) => String(fieldsOf(call)["id"])));
  }
  return open.size === 0 ? null : "an assistant message with 'tool_calls' must be followed by " +
    `tool messages responding to each 'tool_call_id': ${[...open].join(", ")}`;
}

export const openaiChat: WireFormat = {
  api: "openai-chat",
  readAsk,
  fault,
  whole,
  events,
  error: ({ type, message }) => ({ error: { message, type, param: null, code: type } }),
  errorEvent: () => ({
    data: {
      error: { message: "The server had an error", type: "server_error", param: null, code: null },
    },
  }),
};
