// SPDX-License-Identifier: Apache-2.0

/** OpenAI's Responses API, streamed; nothing of a conversation is stored there. */
import { streamError } from "./errors.ts";
import {
  type Answer,
  type Block,
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
  type TextBlock,
  type ThinkingBlock,
  toolUse,
  type ToolUseBlock,
  type Wire,
} from "./types.ts";

function itemOf(block: Block, role: Message["role"]): Fields | null {
  switch (block.type) {
    case "text":
      return block.text === "" ? null : {
        type: "message",
        role,
        content: [{ type: role === "user" ? "input_text" : "output_text", text: block.text }],
      };
    case "thinking": {
      const { proof } = block;
      if (proof?.by !== "openai") return null;
      const summary = block.text === "" ? [] : [{ type: "summary_text", text: block.text }];
      return { type: "reasoning", id: proof.id, summary, encrypted_content: proof.data };
    }
    case "tool_use":
      return {
        type: "function_call",
        call_id: block.id,
        name: block.name,
        arguments: JSON.stringify(block.input),
      };
    case "tool_result":
      return { type: "function_call_output", call_id: block.id, output: block.output };
  }
}

function body(request: ModelRequest): Fields {
  return {
    model: request.model,
    max_output_tokens: request.maxTokens,
    stream: true,
    store: false,
    // What it thought comes back sealed, to be sent along again.
    include: ["reasoning.encrypted_content"],
    ...(request.system === "" ? {} : { instructions: request.system }),
    input: request.messages.flatMap(({ role, content }) =>
      content.map((block) => itemOf(block, role)).filter((item) => item !== null)
    ),
    ...(request.effort === undefined ? {} : { reasoning: { effort: request.effort } }),
    ...(request.tools.length === 0 ? {} : {
      tools: request.tools.map(({ name, description, schema }) => ({
        type: "function",
        name,
        description,
        parameters: schema,
        strict: false,
      })),
    }),
  };
}

class Reader implements StreamReader {
  /** Items as they are done; text of those that are not yet. */
  readonly #items: (Fields | undefined)[] = [];
  readonly #open: string[] = [];
  #response: Fields = {};
  #model: string;
  isDone = false;

  constructor(model: string) {
    this.#model = model;
  }

  read(event: string, data: Fields): readonly Piece[] {
    const at = placeOf(data["output_index"]);
    switch (data["type"] ?? event) {
      case "response.output_text.delta":
      case "response.refusal.delta": {
        const text = stringOf(data["delta"]);
        this.#open[at] = (this.#open[at] ?? "") + text;
        return text === "" ? [] : [{ type: "text", text }];
      }
      case "response.reasoning_summary_text.delta":
        return [{ type: "thinking", text: stringOf(data["delta"]) }];
      case "response.output_item.done":
        this.#items[at] = fieldsOf(data["item"]);
        return [];
      case "response.completed":
      case "response.incomplete":
        this.#response = fieldsOf(data["response"]);
        this.isDone = true;
        return [];
      case "response.failed":
        throw streamError(fieldsOf(data["response"])["error"]);
      case "error":
        throw streamError(data["error"] ?? data);
      default:
        return [];
    }
  }

  answer(): Answer {
    const content = Array.from(
      { length: Math.max(this.#items.length, this.#open.length) },
      (_, at) => this.#finished(at),
    ).flat();
    const usage = fieldsOf(this.#response["usage"]);
    const cached = countOf(fieldsOf(usage["input_tokens_details"])["cached_tokens"]);
    return {
      content,
      stop: this.#stop(content),
      usage: {
        input_tokens: Math.max(0, countOf(usage["input_tokens"]) - cached),
        output_tokens: countOf(usage["output_tokens"]),
        cache_read_tokens: cached,
        cache_write_tokens: 0,
        model: stringOf(this.#response["model"]) || this.#model,
      },
    };
  }

  #stop(content: Answer["content"]): Answer["stop"] {
    const why = fieldsOf(this.#response["incomplete_details"])["reason"];
    if (why === "content_filter" || this.#items.some(isRefusal)) return "refused";
    if (this.#response["status"] === "incomplete") return "length";
    return content.some(({ type }) => type === "tool_use") ? "tools" : "end";
  }

  #finished(at: number): (TextBlock | ThinkingBlock | ToolUseBlock)[] {
    const item = this.#items[at];
    if (item === undefined) {
      const text = this.#open[at] ?? "";
      return text === "" ? [] : [{ type: "text", text }];
    }
    switch (item["type"]) {
      case "message": {
        const text = partsOf(item["content"]);
        return text === "" ? [] : [{ type: "text", text }];
      }
      case "reasoning": {
        const [id, data] = [stringOf(item["id"]), stringOf(item["encrypted_content"])];
        const text = partsOf(item["summary"]);
        return [{
          type: "thinking",
          text,
          ...(data === "" ? {} : { proof: { by: "openai", id, data } }),
        }];
      }
      case "function_call": {
        const [id, name] = [stringOf(item["call_id"]), stringOf(item["name"])];
        return [toolUse(id, name, stringOf(item["arguments"]))];
      }
      default:
        return [];
    }
  }
}

function partsOf(content: unknown): string {
  return listOf(content).map((part) => {
    const { text, refusal } = fieldsOf(part);
    return stringOf(text) || stringOf(refusal);
  }).join("");
}

function isRefusal(item: Fields | undefined): boolean {
  return listOf(item?.["content"]).some((part) => fieldsOf(part)["type"] === "refusal");
}

export const openaiResponses: Wire = {
  path: "/responses",
  headers: (key) => ({ authorization: `Bearer ${key}` }),
  body,
  reader: (model) => new Reader(model),
};
