// SPDX-License-Identifier: Apache-2.0

/**
 * Bureau's own agent: a message, the model's answer, what it wants done, and so on until it wants nothing more.
 * Everything it does is told as events; its conversation is a `Session`.
 */
import { messageOf } from "../../lib/errors.ts";
import type { AgentEvent, TokenUsage } from "../event.ts";
import { costOf, type Prices } from "../model/cost.ts";
import { ModelError } from "../model/errors.ts";
import type { ModelClient } from "../model/client.ts";
import type { Answer, ModelRequest, ToolUseBlock } from "../model/types.ts";
import type { ToolBox } from "../tools/box.ts";
import { type AgentLimits, allowedTokens } from "./limits.ts";
import type { Session } from "./session.ts";
import { Teller } from "./teller.ts";
import { charsOf, charsOfRequest, Estimator, fitted, windowOf } from "./window.ts";

export interface Steering {
  readonly text: string;
  readonly source?: string;
}

export interface NativeAgentOptions {
  readonly client: ModelClient;
  readonly model: string;
  readonly system: string;
  readonly tools: ToolBox;
  readonly session: Session;
  readonly emit: (event: AgentEvent) => void | Promise<void>;
  /** What was said since the last time: taken at the beginning of a round, never in the middle of one. */
  readonly takeMessages?: () => readonly Steering[];
  readonly limits?: AgentLimits;
  /** Of one answer; default 8192. */
  readonly maxTokens?: number;
  readonly effort?: ModelRequest["effort"];
  /** Tokens; default: what is known of the model. */
  readonly contextWindow?: number;
  readonly prices?: Prices;
}

export type End = Extract<AgentEvent, { type: "end" }>;

/** What is made free at once, so that it is seldom and the provider's cache holds in between. */
const FILL_AFTER_EVICTION = 0.7;
const TOO_LONG_ATTEMPTS = 4;

export class NativeAgent {
  readonly #options: NativeAgentOptions;
  readonly #teller: Teller;
  readonly #estimator = new Estimator();
  readonly #maxTokens: number;
  /** Tokens of a request. */
  #budget: number;

  constructor(options: NativeAgentOptions) {
    this.#options = options;
    this.#teller = new Teller(options.emit);
    this.#maxTokens = options.maxTokens ?? 8192;
    const window = options.contextWindow ?? windowOf(options.model);
    this.#budget = Math.max(1000, window - this.#maxTokens);
  }

  /**
   * One message to its end; null: what a session that was broken off still has to do.
   * Never throws: what goes wrong is told by its end.
   */
  async run(message: Steering | null, signal: AbortSignal): Promise<End> {
    const { session, model } = this.#options;
    const end = (status: End["status"], result: string | null, error: string | null): End => ({
      type: "end",
      status,
      result,
      error,
    });
    let ended: End;
    try {
      await this.#teller.tell({ type: "session", session_id: session.id, model });
      await this.#teller.tell({ type: "state", state: "working" });
      if (message !== null) await this.#admit(message);
      ended = end("completed", await this.#rounds(signal), null);
    } catch (thrown) {
      ended = signal.aborted ? end("cancelled", null, null) : end("error", null, messageOf(thrown));
    }
    try {
      await session.end(ended.status);
    } catch (thrown) {
      ended = end("error", ended.result, messageOf(thrown));
    }
    const isBroken = ended.status === "error";
    await this.#teller.last({
      type: "state",
      state: isBroken ? "failed" : "idle",
      ...(isBroken ? { message: ended.error! } : {}),
    });
    await this.#teller.last(ended);
    return ended;
  }

  async #admit({ text, source }: Steering): Promise<void> {
    const said = text.trim() === "" ? "(an empty message)" : text;
    await this.#options.session.add(
      { role: "user", content: [{ type: "text", text: said }] },
      source,
    );
    await this.#teller.tell({
      type: "prompt",
      text,
      ...(source === undefined ? {} : { id: source }),
    });
  }

  async #rounds(signal: AbortSignal): Promise<string> {
    const { session, tools, takeMessages = () => [] } = this.#options;
    for (let round = 1;; round++) {
      signal.throwIfAborted();
      const last = session.messages.at(-1);
      // It was broken off after its last word and before it was told.
      if (last?.role === "assistant") return textOf(last.content);
      for (const message of takeMessages()) await this.#admit(message);
      if (session.messages.length === 0) throw new Error("there is nothing to answer");
      const answer = await this.#ask(round, signal);
      await this.#told(answer);
      if (answer.content.length > 0) {
        await session.add({ role: "assistant", content: answer.content });
      }
      const calls = answer.content.filter((block) => block.type === "tool_use");
      if (calls.length > 0) {
        await this.#carryOut(calls, tools, signal);
        continue;
      }
      const more = takeMessages();
      for (const message of more) await this.#admit(message);
      if (more.length > 0) continue;
      if (answer.stop === "refused") throw new Error("the model refused to answer");
      return textOf(answer.content);
    }
  }

  async #carryOut(
    calls: readonly ToolUseBlock[],
    tools: ToolBox,
    signal: AbortSignal,
  ): Promise<void> {
    for (const { id, name, input } of calls) {
      await this.#teller.tell({ type: "tool_call", id, name, input });
    }
    const results = await tools.runAll(
      calls,
      signal,
      ({ id, output, is_error }) =>
        this.#teller.tell({ type: "tool_result", id, output, is_error }),
    );
    await this.#options.session.add({ role: "user", content: results });
  }

  /** Asks, with less of the conversation where the model says that it is too long. */
  async #ask(round: number, signal: AbortSignal): Promise<Answer> {
    for (let attempt = 1;; attempt++) {
      const request = await this.#request(round);
      try {
        return await this.#once(request, signal);
      } catch (thrown) {
        const isTooLong = thrown instanceof ModelError && thrown.code === "context-too-long";
        if (!isTooLong || attempt === TOO_LONG_ATTEMPTS) throw thrown;
        // It counts otherwise than was thought.
        const counted = this.#estimator.tokens(charsOfRequest(request));
        this.#budget = Math.max(1000, Math.floor(Math.min(this.#budget, counted) * 0.75));
      }
    }
  }

  async #request(round: number): Promise<ModelRequest> {
    const { model, system, tools, session, limits = {}, prices = {}, effort } = this.#options;
    const bare = { model, system, tools: tools.definitions, maxTokens: this.#maxTokens };
    const tokens = () =>
      this.#estimator.tokens(charsOfRequest({ ...bare, messages: session.messages }));
    if (tokens() > this.#budget) {
      const fixed = charsOfRequest({ ...bare, messages: [] });
      const wanted = this.#budget * FILL_AFTER_EVICTION;
      // By what a token is now taken to be.
      const chars = wanted * (charsOfRequest({ ...bare, messages: session.messages }) / tokens());
      const messages = fitted(session.messages, Math.max(0, Math.floor(chars) - fixed));
      if (charsOf(messages) < charsOf(session.messages)) await session.replace(messages);
    }
    const next = { model, inputTokens: tokens(), maxTokens: this.#maxTokens, prices };
    const maxTokens = allowedTokens(limits, round, session.totals, next);
    return {
      ...bare,
      maxTokens,
      messages: session.messages,
      ...(effort === undefined ? {} : { effort }),
    };
  }

  async #once(request: ModelRequest, signal: AbortSignal): Promise<Answer> {
    const wasted: TokenUsage[] = [];
    let kept: Answer | null = null;
    try {
      const answer = await this.#options.client.ask(request, {
        signal,
        onPiece: (piece) => this.#teller.piece(piece),
        onRetry: ({ error, waitMs }) => {
          const message = `${error.message}; asked again in ${(waitMs / 1000).toFixed(1)} s`;
          this.#teller.queue({ type: "error", message, is_retried: true });
        },
        onWasted: (usage) => wasted.push(usage),
        onCancelled: (answer) => kept = answer,
      });
      const { input_tokens, cache_read_tokens, cache_write_tokens } = answer.usage;
      const counted = input_tokens + cache_read_tokens + cache_write_tokens;
      this.#estimator.learn(charsOfRequest(request), counted);
      await this.#spend(answer.usage);
      return answer;
    } finally {
      for (const usage of wasted) await this.#spend(usage);
      await this.#keep(kept);
    }
  }

  /** What was said before it was cancelled is part of the conversation; what it wanted done is not. */
  async #keep(cancelled: Answer | null): Promise<void> {
    const said = cancelled?.content.filter(({ type }) => type === "text") ?? [];
    if (said.length > 0) await this.#options.session.add({ role: "assistant", content: said });
  }

  async #spend(usage: TokenUsage): Promise<void> {
    const { session, model, prices = {} } = this.#options;
    await session.spend(usage, costOf(usage, model, prices));
    await this.#teller.tell({ type: "usage", ...usage });
    await this.#teller.tell({ type: "cost", usd: session.totals.usd });
  }

  async #told({ content, stop }: Answer): Promise<void> {
    for (const block of content) {
      if (block.type === "tool_use" || block.text === "") continue;
      await this.#teller.tell({ type: block.type, text: block.text });
    }
    if (stop === "length") {
      const message = "the answer was cut off: it was as long as it may be";
      await this.#teller.tell({ type: "error", message, is_retried: false });
    }
  }
}

function textOf(content: Answer["content"] | readonly { type: string }[]): string {
  return (content as Answer["content"]).flatMap((block) =>
    block.type === "text" ? [block.text] : []
  )
    .join("\n\n").trim();
}
