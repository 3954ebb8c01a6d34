// SPDX-License-Identifier: Apache-2.0

/**
 * OpenAI's Responses API: bodies and typed stream events as
 * platform.openai.com/docs/api-reference/responses-streaming gives them, each with its sequence number.
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
  const { input } = body;
  const items = typeof input === "string"
    ? [{ role: "user", content: input }]
    : listOf(input).map(fieldsOf);
  const said = items.findLast((item: Readonly<Record<string, unknown>>) => item["role"] === "user");
  return {
    api: "openai-responses",
    model: String(body["model"] ?? ""),
    stream: body["stream"] === true,
    lastText: textOf(fieldsOf(said)["content"]),
    toolResults: items.map(fieldsOf).filter(({ type }) =>
      type === "function_call_output" || type === "custom_tool_call_output"
    ).map(({ output }) => typeof output === "string" ? output : textOf(output)),
    tools: listOf(body["tools"]).map((tool) => {
      const { name, type } = fieldsOf(tool);
      return String(name ?? type);
    }),
    body,
  };
}

type Item = Record<string, unknown>;

function itemsOf(say: Say): Item[] {
  const items: Item[] = [];
  if (say.thinking !== undefined) {
    items.push({
      id: nextId("rs_"),
      type: "reasoning",
      summary: [{ type: "summary_text", text: say.thinking }],
    });
  }
  if (say.text !== undefined) {
    items.push({
      id: nextId("msg_"),
      type: "message",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text: say.text.join(""), annotations: [], logprobs: [] }],
    });
  }
  for (const { name, namespace, input } of say.tools ?? []) {
    items.push({
      id: nextId("fc_"),
      type: "function_call",
      status: "completed",
      call_id: nextId("call_"),
      name,
      ...(namespace === undefined ? {} : { namespace }),
      arguments: JSON.stringify(input),
    });
  }
  return items;
}

function usageOf(say: Say): Record<string, unknown> {
  const { input, output, cacheRead = 0 } = say.usage ?? DEFAULT_USAGE;
  const input_tokens = input + cacheRead;
  return {
    input_tokens,
    input_tokens_details: { cached_tokens: cacheRead },
    output_tokens: output,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: input_tokens + output,
  };
}

function response(ask: Ask, say: Say, status: "in_progress" | "completed"): Item {
  const cutShort = status === "completed" && say.stop !== undefined;
  return {
    id: nextId("resp_"),
    object: "response",
    created_at: 1_700_000_000,
    status: cutShort ? "incomplete" : status,
    error: null,
    incomplete_details: cutShort ? { reason: say.stop } : null,
    instructions: null,
    max_output_tokens: null,
    model: ask.model,
    output: status === "completed" ? itemsOf(say) : [],
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: ask.body["store"] ?? true,
    temperature: 1,
    text: { format: { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p: 1,
    truncation: "disabled",
    usage: status === "completed" ? usageOf(say) : null,
    user: null,
    metadata: {},
  };
}

/** Between `output_item.added` and `.done` of one item. */
function* itemEvents(item: Item, output_index: number, say: Say): Generator<Item> {
  const at = { item_id: item["id"], output_index };
  if (item["type"] === "message") {
    const part = { ...at, content_index: 0 };
    const whole = (item["content"] as Item[])[0]!;
    yield { type: "response.content_part.added", ...part, part: { ...whole, text: "" } };
    for (const delta of say.text ?? []) {
      yield { type: "response.output_text.delta", ...part, delta, logprobs: [] };
    }
    yield { type: "response.output_text.done", ...part, text: whole["text"], logprobs: [] };
    yield { type: "response.content_part.done", ...part, part: whole };
  }
  if (item["type"] === "function_call") {
    for (const delta of cut(String(item["arguments"]))) {
      yield { type: "response.function_call_arguments.delta", ...at, delta };
    }
    yield {
      type: "response.function_call_arguments.done",
      ...at,
      name: item["name"],
      arguments: item["arguments"],
    };
  }
  if (item["type"] === "reasoning") {
    const part = { ...at, summary_index: 0 };
    const whole = (item["summary"] as Item[])[0]!;
    yield {
      type: "response.reasoning_summary_part.added",
      ...part,
      part: { ...whole, text: "" },
    };
    yield { type: "response.reasoning_summary_text.delta", ...part, delta: whole["text"] };
    yield { type: "response.reasoning_summary_text.done", ...part, text: whole["text"] };
    yield { type: "response.reasoning_summary_part.done", ...part, part: whole };
  }
}

/** As it is while nothing of it was said. */
function begun(item: Item): Item {
  switch (item["type"]) {
    case "message":
      return { ...item, status: "in_progress", content: [] };
    case "function_call":
      return { ...item, status: "in_progress", arguments: "" };
    default:
      return { ...item, summary: [] };
  }
}

function events(ask: Ask, say: Say): ServerEvent[] {
  const done = response(ask, say, "completed");
  const started = { ...response(ask, say, "in_progress"), id: done["id"] };
  const found: Item[] = [
    { type: "response.created", response: started },
    { type: "response.in_progress", response: started },
  ];
  for (const [output_index, item] of (done["output"] as Item[]).entries()) {
    found.push({ type: "response.output_item.added", output_index, item: begun(item) });
    found.push(...itemEvents(item, output_index, say));
    found.push({ type: "response.output_item.done", output_index, item });
  }
  found.push({ type: `response.${done["status"]}`, response: done });
  return found.map((data, sequence_number) => ({
    event: String(data["type"]),
    data: { ...data, sequence_number },
  }));
}

function fault(body: Readonly<Record<string, unknown>>): string | null {
  if (typeof body["model"] !== "string") return "Missing required parameter: 'model'.";
  if (body["input"] === undefined) return "Missing required parameter: 'input'.";
  const items = listOf(body["input"]).map(fieldsOf);
  const ids = (type: string) =>
    items.filter((item) => item["type"] === type).map((item) => String(item["call_id"]));
  const [asked, given] = [ids("function_call"), ids("function_call_output")];
  const open = asked.find((id) => !given.includes(id));
  if (open !== undefined) return `No tool output found for function call ${open}.`;
  const unasked = given.find((id) => !asked.includes(id));
  // What was asked may stand in the response that this one goes on from.
  return unasked === undefined || body["previous_response_id"]
    ? null
    : `No tool call found for function call output with call_id ${unasked}.`;
}

export const openaiResponses: WireFormat = {
  api: "openai-responses",
  readAsk,
  fault,
  whole: (ask, say) => response(ask, say, "completed"),
  events,
  error: ({ type, message }) => ({ error: { message, type, param: null, code: type } }),
  errorEvent: () => ({
    event: "error",
    data: {
      type: "error",
      code: "server_error",
      message: "The server had an error",
      param: null,
      sequence_number: 0,
    },
  }),
};
