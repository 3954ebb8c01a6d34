// SPDX-License-Identifier: Apache-2.0

/**
 * Asks a model and tells its answer as it comes; asks again where that may help.
 *
 * Over `fetch` rather than the providers' SDKs: an idle loop with both takes 27 MB of its own, without them
 * 11 (README.md), and what they add, retries and typed errors, is another than is wanted here.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { readServerSentEvents } from "../../lib/sse.ts";
import { anthropic } from "./anthropic.ts";
import { ModelError, refusalOf } from "./errors.ts";
import { openaiChat } from "./openai_chat.ts";
import { openaiResponses } from "./openai_responses.ts";
import { Telling } from "./telling.ts";
import {
  type Answer,
  fieldsOf,
  type ModelRequest,
  type Piece,
  type Protocol,
  type StreamReader,
  type Wire,
} from "./types.ts";

const WIRES: Readonly<Record<Protocol, Wire>> = {
  anthropic,
  "openai-chat": openaiChat,
  "openai-responses": openaiResponses,
};

export interface ModelClientOptions {
  readonly protocol: Protocol;
  /** As the SDKs take it: Anthropic's without `/v1`, OpenAI's with it. A path alone goes to `fetch`. */
  readonly baseUrl: string;
  /** In a sandbox a placeholder, or nothing: the proxy has the key. */
  readonly key?: string;
  /** Default: the global one. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** How often one answer is asked for; default 8. */
  readonly maxAttempts?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** A stream that is silent for longer is dead; default 5 minutes. */
  readonly silenceMs?: number;
}

export interface Retried {
  readonly error: ModelError;
  /** From 1. */
  readonly attempt: number;
  readonly waitMs: number;
}

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly onPiece?: (piece: Piece) => void;
  readonly onRetry?: (retried: Retried) => void;
  /** What an attempt took that gave no whole answer: providers charge for it. */
  readonly onWasted?: (usage: Answer["usage"]) => void;
  /** What came before `signal` aborted. */
  readonly onCancelled?: (answer: Answer) => void;
}

export interface ModelClient {
  /** @throws {ModelError}; the signal's reason */
  ask(request: ModelRequest, options: AskOptions): Promise<Answer>;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;
/** Whoever asks for more patience than this is not waited for. */
const LONGEST_ASKED_MS = 10 * 60_000;

export function createModelClient(options: ModelClientOptions): ModelClient {
  const { clock = systemClock, random = Math.random, maxAttempts = 8 } = options;
  const wire = WIRES[options.protocol];
  return {
    ask: async (request, asking) => {
      const telling = new Telling(asking.onPiece ?? (() => {}));
      for (let attempt = 1;; attempt++) {
        asking.signal.throwIfAborted();
        telling.begin();
        try {
          return await once(options, wire, request, asking, telling);
        } catch (thrown) {
          asking.signal.throwIfAborted();
          if (!(thrown instanceof ModelError)) throw thrown;
          const asked = thrown.retryAfterMs ?? 0;
          if (!thrown.isPassing || attempt >= maxAttempts || asked > LONGEST_ASKED_MS) throw thrown;
          const waitMs = asked + jitter(attempt, random);
          asking.onRetry?.({ error: thrown, attempt, waitMs });
          await clock.sleep(waitMs, asking.signal);
        }
      }
    },
  };
}

/** Full jitter: anything up to 0.5 s doubling to 30 s, so that agents do not come back at one moment. */
function jitter(attempt: number, random: () => number): number {
  return Math.round(Math.min(FIRST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS) * random());
}

async function once(
  options: ModelClientOptions,
  wire: Wire,
  request: ModelRequest,
  asking: AskOptions,
  telling: Telling,
): Promise<Answer> {
  const connection = new AbortController();
  const signal = AbortSignal.any([asking.signal, connection.signal]);
  const reader = wire.reader(request.model);
  const silence = new Silence(options.silenceMs ?? 5 * 60_000, connection);
  let isStreaming = false;
  try {
    const response = await open(options, wire, request, signal);
    isStreaming = true;
    await readAnswer(response, reader, telling, () => silence.heard());
    return reader.answer();
  } catch (thrown) {
    if (isStreaming) wasted(reader, telling, asking);
    asking.signal.throwIfAborted();
    if (thrown instanceof ModelError) throw thrown;
    const why = silence.isOver ? "it fell silent" : messageOf(thrown);
    throw new ModelError(isStreaming ? "stream-lost" : "unreachable", why, { cause: thrown });
  } finally {
    silence.stop();
    connection.abort();
  }
}

async function open(
  { fetch: given = fetch, baseUrl, key = "" }: ModelClientOptions,
  wire: Wire,
  request: ModelRequest,
  signal: AbortSignal,
): Promise<Response> {
  const response = await given(`${baseUrl.replace(/\/+$/, "")}${wire.path}`, {
    method: "POST",
    headers: {
      ...(key === "" ? withoutKey(wire) : wire.headers(key)),
      "content-type": "application/json",
      accept: "text/event-stream",
    },
    body: JSON.stringify(wire.body(request)),
    signal,
  });
  if (!response.ok) throw refusalOf(response.status, response.headers, await response.text());
  if (response.body === null) throw new ModelError("stream-lost", "the answer is empty");
  return response;
}

function withoutKey(wire: Wire): Record<string, string> {
  const { "x-api-key": _, authorization: __, ...rest } = wire.headers("");
  return rest;
}

/** @throws {ModelError} `stream-lost` when it ends before the answer does */
async function readAnswer(
  response: Response,
  reader: StreamReader,
  telling: Telling,
  onBytes: () => void,
): Promise<void> {
  for await (const { event, data } of readServerSentEvents(response.body!, onBytes)) {
    const fields = data === "[DONE]" ? { done: true } : parse(data);
    for (const piece of reader.read(event, fields)) telling.tell(piece);
  }
  if (!reader.isDone) throw new ModelError("stream-lost", "the stream ended before the answer did");
  telling.end();
}

function parse(data: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(data));
  } catch (thrown) {
    throw new ModelError("stream-lost", `the stream is not JSON (${messageOf(thrown)})`);
  }
}

/** A stream that broke tells its input where the protocol says it first; its output is what came of it. */
function wasted(reader: StreamReader, telling: Telling, asking: AskOptions): void {
  const { usage, ...answer } = reader.answer();
  const output_tokens = Math.max(usage.output_tokens, Math.ceil(telling.chars / 4));
  const known = { ...usage, output_tokens };
  asking.onWasted?.(known);
  if (asking.signal.aborted) asking.onCancelled?.({ ...answer, usage: known });
}

class Silence {
  readonly #ms: number;
  readonly #connection: AbortController;
  #timer: ReturnType<typeof setTimeout> | undefined;
  isOver = false;

  constructor(ms: number, connection: AbortController) {
    this.#ms = ms;
    this.#connection = connection;
    this.heard();
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.#connection.abort();
    }, this.#ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
