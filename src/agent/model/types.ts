// SPDX-License-Identifier: Apache-2.0

/** A conversation with a model, in no provider's own words. */
import type { TokenUsage } from "../event.ts";

export type Protocol = "anthropic" | "openai-chat" | "openai-responses";

export interface TextBlock {
  readonly type: "text";
  readonly text: string;
}

/** What a model thought; `proof` is its provider's own and goes back to that provider as it came. */
export interface ThinkingBlock {
  readonly type: "thinking";
  readonly text: string;
  readonly proof?: {
    readonly by: "anthropic" | "anthropic-redacted" | "openai";
    readonly id?: string;
    readonly data: string;
  };
}

export interface ToolUseBlock {
  readonly type: "tool_use";
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** What the model gave instead of a JSON object. */
  readonly malformed?: string;
}

export interface ToolResultBlock {
  readonly type: "tool_result";
  readonly id: string;
  readonly output: string;
  readonly is_error: boolean;
}

export type Block = TextBlock | ThinkingBlock | ToolUseBlock | ToolResultBlock;

export interface Message {
  readonly role: "user" | "assistant";
  readonly content: readonly Block[];
}

export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  /** JSON Schema of an object. */
  readonly schema: Readonly<Record<string, unknown>>;
}

export interface ModelRequest {
  readonly model: string;
  readonly system: string;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDefinition[];
  readonly maxTokens: number;
  /** How much to think, where the protocol has such a field: OpenAI's two. */
  readonly effort?: "low" | "medium" | "high";
}

export interface Answer {
  readonly content: readonly (TextBlock | ThinkingBlock | ToolUseBlock)[];
  /** `length`: cut off by `maxTokens`; `refused`: by the provider's own rules. */
  readonly stop: "end" | "tools" | "length" | "refused";
  readonly usage: TokenUsage;
}

/** Pieces of an answer as they come. `reset`: those before it are void, the answer begins anew. */
export type Piece =
  | { readonly type: "text" | "thinking"; readonly text: string }
  | { readonly type: "reset" };

/** One protocol: how a request is written, and how its stream is read. */
export interface Wire {
  /** Below the base URL. */
  readonly path: string;
  headers(key: string): Record<string, string>;
  body(request: ModelRequest): Readonly<Record<string, unknown>>;
  reader(model: string): StreamReader;
}

export interface StreamReader {
  /** @throws {ModelError} for an error that the stream tells */
  read(event: string, data: Fields): readonly Piece[];
  /** Whether the answer is whole: a stream that ends before was cut. */
  readonly isDone: boolean;
  /** What is known so far. */
  answer(): Answer;
}

export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function stringOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function countOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? Math.floor(value) : 0;
}

/** A place in an answer; a server that names a later one is broken, and costs no memory by that. */
export function placeOf(value: unknown): number {
  return Math.min(countOf(value), 9_999);
}

/** The arguments of a call as they came in pieces; no text at all is no arguments. */
export function toolUse(id: string, name: string, json: string): ToolUseBlock {
  if (json.trim() === "") return { type: "tool_use", id, name, input: {} };
  try {
    const input: unknown = JSON.parse(json);
    if (typeof input === "object" && input !== null && !Array.isArray(input)) {
      return { type: "tool_use", id, name, input: input as Fields };
    }
  } catch {
    // Told to the model as what it is.
  }
  return { type: "tool_use", id, name, input: {}, malformed: json };
}
