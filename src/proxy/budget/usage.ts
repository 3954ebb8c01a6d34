// SPDX-License-Identifier: Apache-2.0

/**
 * What a model's answer says that it cost, read while it passes: Anthropic's Messages API and OpenAI's Chat
 * Completions, Responses, Completions and Embeddings, as one document or as server-sent events. What says
 * nothing is estimated from its size, so that no way of asking is free.
 */

export interface Usage {
  /** As the answer names it; empty where it doesn't. */
  readonly model: string;
  /** Tokens that were read, those from a cache left out. */
  readonly input: number;
  readonly output: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  /** The answer said nothing, or ended early. */
  readonly estimated: boolean;
}

export type ModelProtocol = "anthropic" | "openai";

/** By the path's end, whatever stands before it: `/v1/messages`, `/openai/v1/chat/completions`. */
export function modelProtocol(method: string, target: string): ModelProtocol | null {
  if (method !== "POST") return null;
  const path = target.split("?", 1)[0]!.replace(/\/+$/, "");
  if (/\/messages$/.test(path)) return "anthropic";
  return /\/(chat\/completions|completions|responses|embeddings)$/.test(path) ? "openai" : null;
}

/** Batches are answered long after they were asked for, elsewhere: nothing here would count them. */
export function isUncountable(method: string, target: string): boolean {
  return method === "POST" && /\/batches\/?$/.test(target.split("?", 1)[0]!);
}

/** A document, or one line of a stream, beyond this is not read. */
const MAX_TEXT = 16 * 1024 * 1024;
/** English text and code; OpenAI and Anthropic give the same rule of thumb. */
const BYTES_PER_TOKEN = 4;

export class UsageReader {
  readonly #stream: boolean;
  readonly #requestBytes: number;
  readonly #decoder = new TextDecoder();
  /** The document, or the part of a line that has come. */
  #text = "";
  #tooLong = false;
  #bytes = 0;
  #model = "";
  #events = 0;
  #counts: { input?: number; output?: number; read?: number; write?: number } = {};
  #complete = false;

  /** @param requestBytes length of the request's body, for an estimate */
  constructor(contentType: string, requestBytes: number) {
    this.#stream = /^text\/event-stream\b/i.test(contentType);
    this.#requestBytes = requestBytes;
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#tooLong) return;
    this.#text += this.#decoder.decode(chunk, { stream: true });
    if (this.#stream) this.#lines();
    if (this.#text.length > MAX_TEXT) {
      this.#tooLong = true;
      this.#text = "";
    }
  }

  #lines(): void {
    let from = 0;
    while (true) {
      const end = this.#text.indexOf("\n", from);
      if (end < 0) break;
      const line = this.#text.slice(from, end);
      from = end + 1;
      if (!line.startsWith("data:")) continue;
      this.#events++;
      // Most events are a word of text: only those that can say something are parsed.
      if (line.includes('"usage"') || (this.#model === "" && line.includes('"model"'))) {
        this.#read(line.slice("data:".length));
      }
    }
    this.#text = this.#text.slice(from);
  }

  #read(text: string): void {
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return;
    }
    if (!isObject(json)) return;
    // Anthropic's message_start holds a message, OpenAI's response.completed a response.
    for (const part of [json, json["message"], json["response"]]) {
      if (!isObject(part)) continue;
      if (typeof part["model"] === "string" && this.#model === "") {
        this.#model = part["model"].slice(0, 200);
      }
      if (isObject(part["usage"])) this.#take(part["usage"], json["type"]);
    }
  }

  #take(usage: Record<string, unknown>, type: unknown): void {
    const counts = this.#counts;
    const set = (name: "input" | "output" | "read" | "write", value: unknown) => {
      if (typeof value === "number" && Number.isFinite(value) && value >= 0) counts[name] = value;
    };
    set("input", usage["input_tokens"] ?? usage["prompt_tokens"]);
    set("output", usage["output_tokens"] ?? usage["completion_tokens"]);
    set("read", usage["cache_read_input_tokens"]);
    set("write", usage["cache_creation_input_tokens"]);
    const details = usage["input_tokens_details"] ?? usage["prompt_tokens_details"];
    if (isObject(details) && typeof details["cached_tokens"] === "number") {
      // OpenAI counts what came from its cache among the input, Anthropic beside it.
      set("read", details["cached_tokens"]);
      counts.input = Math.max(0, (counts.input ?? 0) - (counts.read ?? 0));
    }
    // Embeddings have no output, and say only their input.
    if (type !== "message_start") this.#complete = true;
  }

  /** At the end of the answer, or where its reader left. */
  end(): Usage {
    if (!this.#tooLong) {
      const rest = this.#text + this.#decoder.decode();
      if (this.#stream) this.#read(rest.replace(/^data:/, ""));
      else this.#read(rest);
    }
    this.#text = "";
    const { input, output, read, write } = this.#counts;
    const guess = (bytes: number) => Math.ceil(bytes / BYTES_PER_TOKEN);
    return {
      model: this.#model,
      input: input ?? guess(this.#requestBytes),
      // Where it broke off, what it had said so far is less than what it had sent.
      output: this.#complete
        ? output ?? 0
        : Math.max(output ?? 0, this.#stream ? this.#events : guess(this.#bytes)),
      cacheRead: read ?? 0,
      cacheWrite: write ?? 0,
      estimated: !this.#complete,
    };
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
