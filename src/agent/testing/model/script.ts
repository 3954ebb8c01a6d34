// SPDX-License-Identifier: Apache-2.0

/** What a mock model answers: one script for every wire format, so that a test says it once. */

export type ModelApi = "anthropic" | "openai-chat" | "openai-responses";

/** One request, read as far as a script may want to decide by it. */
export interface Ask {
  readonly api: ModelApi;
  readonly model: string;
  readonly stream: boolean;
  /** The last thing a person said, without tool results. */
  readonly lastText: string;
  /** What the tools of this conversation gave back, oldest first. */
  readonly toolResults: readonly string[];
  /** Names of the tools the client offers. */
  readonly tools: readonly string[];
  /** The parsed request. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** One request as it came, whoever sent it: what a test looks for secrets in. */
export interface Recorded {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

export interface ToolCall {
  readonly name: string;
  /** Of the Responses API, whose clients offer the tools of an MCP server as one thing with a name. */
  readonly namespace?: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface Say {
  readonly kind: "say";
  /** Each piece is an event of its own. */
  readonly text?: readonly string[];
  readonly thinking?: string;
  readonly tools?: readonly ToolCall[];
  readonly usage?: Usage;
  /** Why it ended, in the API's own word, e.g. `max_tokens`; absent: what follows from the rest. */
  readonly stop?: string;
  /** Held back after the first piece of text: proves that nobody on the way waits for the end. */
  readonly holdAfterFirst?: Promise<void>;
  /** The connection is cut after this many events. */
  readonly dropAfter?: number;
  /** After this many events an error event comes instead of the rest. */
  readonly failAfter?: number;
  /** The stream comes in pieces of this many bytes, cut wherever it falls, also inside a letter. */
  readonly pieceBytes?: number;
}

export interface Usage {
  /** Without what the cache gave or took. */
  readonly input: number;
  readonly output: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
}

export interface Fail {
  readonly kind: "fail";
  readonly status: number;
  /** As the API names it: `rate_limit_error`, `overloaded_error`, `invalid_request_error`. */
  readonly type: string;
  readonly message: string;
  readonly retryAfterSeconds?: number;
}

export type Reply = Say | Fail;
export type Script = (ask: Ask) => Reply | Promise<Reply>;

/** A reply that may look at what was asked. */
export type Turn = Reply | Script;

/** Answers one turn after the other; who asks once more than there are turns is told so. */
export const turns = (...list: readonly Turn[]): Script => queued([...list]);

/** The same from a list that a test fills as it goes: each answer is taken out of it. */
export function queued(list: Turn[]): Script {
  return (ask) => {
    const turn = list.shift();
    if (typeof turn === "function") return turn(ask);
    return turn ?? fail(400, "invalid_request_error", "the script has no more turns");
  };
}

export function say(...text: readonly string[]): Say {
  return { kind: "say", text };
}

export function call(name: string, input: ToolCall["input"]): Say {
  return { kind: "say", tools: [{ name, input }] };
}

export function fail(
  status: number,
  type: string,
  message: string,
  retryAfterSeconds?: number,
): Fail {
  return {
    kind: "fail",
    status,
    type,
    message,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
}

export const overloaded: Fail = fail(529, "overloaded_error", "Overloaded");

/** A Server-Sent Event; without a name it is only data. */
export interface ServerEvent {
  readonly event?: string;
  readonly data: Readonly<Record<string, unknown>> | string;
}

/** A request of one API, and how a reply reads there. */
export interface WireFormat {
  readonly api: ModelApi;
  readAsk(body: Readonly<Record<string, unknown>>): Ask;
  /** What the real API would refuse the request for; null: nothing. */
  fault(body: Readonly<Record<string, unknown>>, headers: Headers): string | null;
  whole(ask: Ask, say: Say): Readonly<Record<string, unknown>>;
  events(ask: Ask, say: Say): readonly ServerEvent[];
  error(fail: Fail, requestId: string): Readonly<Record<string, unknown>>;
  /** What stands in a stream that fails after it began. */
  errorEvent(): ServerEvent;
}

export const DEFAULT_USAGE: Usage = { input: 11, output: 7 };

/** A number for ids: they must be unlike one another, not random. */
let lastId = 0;
export function nextId(prefix: string): string {
  return `${prefix}${(++lastId).toString(36).padStart(24, "0")}`;
}

/** Pieces in which tools' arguments arrive: cut inside a JSON string on purpose. */
export function cut(text: string): string[] {
  const middle = Math.ceil(text.length / 2);
  return [text.slice(0, middle), text.slice(middle)].filter((piece) => piece !== "");
}

type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? value as Fields : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Text of a message's content, which every API allows as a string or as a list of blocks. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return listOf(content).map((block) => fieldsOf(block)["text"]).filter((text) =>
    typeof text === "string"
  ).join("");
}
