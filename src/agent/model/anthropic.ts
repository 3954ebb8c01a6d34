// SPDX-License-Identifier: Apache-2.0

/** Anthropic's Messages API, streamed. */
import { streamError } from "./errors.ts";
import {
  type Answer,
  type Block,
  countOf,
  type Fields,
  fieldsOf,
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

/** What stands before it is kept by the provider for five minutes, and costs a tenth meanwhile. */
const CACHED = { cache_control: { type: "ephemeral" } };

function blockOf(block: Block): Fields | null {
  switch (block.type) {
    case "text":
      return block.text === "" ? null : { type: "text", text: block.text };
    case "thinking": {
      const { proof } = block;
      if (proof?.by === "anthropic-redacted") {
        return { type: "redacted_thinking", data: proof.data };
      }
      // Thoughts without this provider's signature are refused.
      if (proof?.by !== "anthropic") return null;
      return { type: "thinking", thinking: block.text, signature: proof.data };
    }
    case "tool_use":
      return { type: "tool_use", id: block.id, name: block.name, input: block.input };
    case "tool_result":
      return {
        type: "tool_result",
        tool_use_id: block.id,
        content: block.output || "(no output)",
        ...(block.is_error ? { is_error: true } : {}),
      };
  }
}

function messageOf(message: Message, isLast: boolean): Fields | null {
  const content = message.content.map(blockOf).filter((block) => block !== null);
  if (content.length === 0) return null;
  if (isLast) content[content.length - 1] = { ...content.at(-1), ...CACHED };
  return { role: message.role, content };
}

function body(request: ModelRequest): Fields {
  const { messages, tools } = request;
  return {
    model: request.model,
    max_tokens: request.maxTokens,
    stream: true,
    ...(request.system === "" ? {} : {
      system: [{ type: "text", text: request.system, ...CACHED }],
    }),
    messages: messages.map((message, at) => messageOf(message, at === messages.length - 1))
      .filter((message) => message !== null),
    ...(tools.length === 0 ? {} : {
      tools: tools.map(({ name, description, schema }) => ({
        name,
        description,
        input_schema: schema,
      })),
    }),
  };
}

/** One block while it comes. */
interface Open {
  readonly type: string;
  readonly id: string;
  readonly name: string;
  text: string;
  data: string;
}

class Reader implements StreamReader {
  readonly #blocks: Open[] = [];
  #usage: Record<string, number> = {};
  #stop = "";
  #model: string;
  isDone = false;

  constructor(model: string) {
    this.#model = model;
  }

  read(_event: string, data: Fields): readonly Piece[] {
    switch (data["type"]) {
      case "message_start": {
        const message = fieldsOf(data["message"]);
        this.#model = stringOf(message["model"]) || this.#model;
        this.#count(message["usage"]);
        return [];
      }
      case "content_block_start": {
        const block = fieldsOf(data["content_block"]);
        const text = stringOf(block["text"]) || stringOf(block["thinking"]);
        this.#blocks[placeOf(data["index"])] = {
          type: stringOf(block["type"]),
          id: stringOf(block["id"]),
          name: stringOf(block["name"]),
          text,
          data: stringOf(block["data"]) || stringOf(block["signature"]),
        };
        return text === "" ? [] : this.#told(block["type"], text);
      }
      case "content_block_delta":
        return this.#delta(this.#blocks[placeOf(data["index"])], fieldsOf(data["delta"]));
      case "message_delta":
        this.#stop = stringOf(fieldsOf(data["delta"])["stop_reason"]) || this.#stop;
        this.#count(data["usage"]);
        return [];
      case "message_stop":
        this.isDone = true;
        return [];
      case "error":
        throw streamError(data["error"]);
      default:
        // `ping`, and what is not known yet.
        return [];
    }
  }

  #delta(block: Open | undefined, delta: Fields): readonly Piece[] {
    if (block === undefined) return [];
    const text = stringOf(delta["text"]) || stringOf(delta["thinking"]) ||
      stringOf(delta["partial_json"]);
    block.text += text;
    block.data += stringOf(delta["signature"]);
    return delta["type"] === "input_json_delta" ? [] : this.#told(block.type, text);
  }

  #told(type: unknown, text: string): readonly Piece[] {
    if (text === "" || (type !== "text" && type !== "thinking")) return [];
    return [{ type, text }];
  }

  #count(usage: unknown): void {
    for (const [name, value] of Object.entries(fieldsOf(usage))) {
      if (typeof value === "number") this.#usage[name] = countOf(value);
    }
  }

  answer(): Answer {
    const usage = this.#usage;
    return {
      content: this.#blocks.flatMap(finished),
      stop: stopOf(this.#stop),
      usage: {
        input_tokens: usage["input_tokens"] ?? 0,
        output_tokens: usage["output_tokens"] ?? 0,
        cache_read_tokens: usage["cache_read_input_tokens"] ?? 0,
        cache_write_tokens: usage["cache_creation_input_tokens"] ?? 0,
        model: this.#model,
      },
    };
  }
}

function finished(block: Open): (TextBlock | ThinkingBlock | ToolUseBlock)[] {
  const { type, id, name, text, data } = block;
  switch (type) {
    case "text":
      return text === "" ? [] : [{ type, text }];
    case "thinking":
      return [{ type, text, ...(data === "" ? {} : { proof: { by: "anthropic", data } }) }];
    case "redacted_thinking":
      return [{ type: "thinking", text: "", proof: { by: "anthropic-redacted", data } }];
    case "tool_use":
      return [toolUse(id, name, text)];
    default:
      return [];
  }
}

function stopOf(reason: string): Answer["stop"] {
  switch (reason) {
    case "tool_use":
      return "tools";
    case "max_tokens":
    case "model_context_window_exceeded":
      return "length";
    case "refusal":
      return "refused";
    default:
      return "end";
  }
}

export const anthropic: Wire = {
  path: "/v1/messages",
  headers: (key) => ({ "x-api-key": key, "anthropic-version": "2023-06-01" }),
  body,
  reader: (model) => new Reader(model),
};
