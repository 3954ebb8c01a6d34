// SPDX-License-Identifier: Apache-2.0

/** OpenAI's Chat Completions, streamed; many other servers speak it too. */
import { streamError } from "./errors.ts";
import {
  type Answer,
  countOf,
  type Fields,
  fieldsOf,
  listOf,
  type Message,
  type ModelRequest,
  type Piece,
  placeOf,
  type StreamReader,
  stringOf,
  toolUse,
  type Wire,
} from "./types.ts";

function textOf(message: Message): string {
  return message.content.filter((block) => block.type === "text").map(({ text }) => text).join(
    "\n\n",
  );
}

/** Results of tools are messages of their own here, and come first: right after the calls. */
function messagesOf(message: Message): Fields[] {
  const text = textOf(message);
  if (message.role === "user") {
    const results = message.content.filter((block) => block.type === "tool_result").map((
      { id, output },
    ) => ({ role: "tool", tool_call_id: id, content: output || "(no output)" }));
    return [...results, ...(text === "" ? [] : [{ role: "user", content: text }])];
  }
  const tool_calls = message.content.filter((block) => block.type === "tool_use").map((
    { id, name, input },
  ) => ({ id, type: "function", function: { name, arguments: JSON.stringify(input) } }));
  if (text === "" && tool_calls.length === 0) return [];
  return [{
    role: "assistant",
    content: text === "" ? null : text,
    ...(tool_calls.length === 0 ? {} : { tool_calls }),
  }];
}

function body(request: ModelRequest): Fields {
  return {
    model: request.model,
    max_completion_tokens: request.maxTokens,
    stream: true,
    stream_options: { include_usage: true },
    messages: [
      ...(request.system === "" ? [] : [{ role: "system", content: request.system }]),
      ...request.messages.flatMap(messagesOf),
    ],
    ...(request.effort === undefined ? {} : { reasoning_effort: request.effort }),
    ...(request.tools.length === 0 ? {} : {
      tools: request.tools.map(({ name, description, schema }) => ({
        type: "function",
        function: { name, description, parameters: schema },
      })),
    }),
  };
}

class Reader implements StreamReader {
  #text = "";
  #refusal = "";
  readonly #calls: { id: string; name: string; json: string }[] = [];
  #usage: Fields = {};
  #finish = "";
  #model: string;
  isDone = false;

  constructor(model: string) {
    this.#model = model;
  }

  read(_event: string, data: Fields): readonly Piece[] {
    if (data["error"]) throw streamError(data["error"]);
    if (data["done"] === true) {
      this.isDone = true;
      return [];
    }
    this.#model = stringOf(data["model"]) || this.#model;
    if (data["usage"]) this.#usage = fieldsOf(data["usage"]);
    const choice = fieldsOf(listOf(data["choices"])[0]);
    this.#finish = stringOf(choice["finish_reason"]) || this.#finish;
    const delta = fieldsOf(choice["delta"]);
    for (const part of listOf(delta["tool_calls"]).map(fieldsOf)) this.#call(part);
    this.#refusal += stringOf(delta["refusal"]);
    const text = stringOf(delta["content"]) || stringOf(delta["refusal"]);
    this.#text += text;
    return text === "" ? [] : [{ type: "text", text }];
  }

  #call(part: Fields): void {
    const call = this.#calls[placeOf(part["index"])] ??= { id: "", name: "", json: "" };
    const { name, arguments: json } = fieldsOf(part["function"]);
    call.id ||= stringOf(part["id"]);
    call.name ||= stringOf(name);
    call.json += stringOf(json);
  }

  answer(): Answer {
    const { prompt_tokens, completion_tokens, prompt_tokens_details } = this.#usage;
    const cached = countOf(fieldsOf(prompt_tokens_details)["cached_tokens"]);
    const calls = this.#calls.filter((call) => call !== undefined);
    return {
      content: [
        ...(this.#text === "" ? [] : [{ type: "text" as const, text: this.#text }]),
        ...calls.map(({ id, name, json }) => toolUse(id, name, json)),
      ],
      stop: this.#refusal !== "" || this.#finish === "content_filter"
        ? "refused"
        : this.#finish === "length"
        ? "length"
        : calls.length > 0
        ? "tools"
        : "end",
      usage: {
        input_tokens: Math.max(0, countOf(prompt_tokens) - cached),
        output_tokens: countOf(completion_tokens),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
        model: this.#model,
      },
    };
  }
}

export const openaiChat: Wire = {
  path: "/chat/completions",
  headers: (key) => ({ authorization: `Bearer ${key}` }),
  body,
  reader: (model) => new Reader(model),
};
