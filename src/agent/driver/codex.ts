// SPDX-License-Identifier: Apache-2.0

/**
 * Codex: `codex app-server`, JSON-RPC in lines over its input and output, as its editor extensions use it. (`codex exec
 * --json` takes one message for each process.) `codex app-server generate-ts` prints its types. Tried on 0.169.0.
 */
import type { AgentEvent } from "../event.ts";
import { VERSION } from "../../lib/version.ts";
import type { Driver, StartOptions } from "./driver.ts";
import { countOf, listOf, objectOf, parseObject, textOf } from "./lines.ts";
import { answerTo, questionOf } from "./codex_questions.ts";
import { Steering } from "./codex_steering.ts";
import { type Protocol, startProgram, type Told } from "./program.ts";

export const codex: Driver = {
  name: "codex",
  lost: /\bno rollout found\b/i,
  start: (options) =>
    startProgram(
      { ...options, arguments: [...CODEX_SETTINGS, "app-server"] },
      (told) => new CodexProtocol(told, options),
    ),
};

/** What Codex is not to do where a program drives it. Its own sandbox needs what ours does not give. */
export const CODEX_SETTINGS: readonly string[] = [
  ["analytics.enabled", "false"],
  ["feedback.enabled", "false"],
  ["check_for_update_on_startup", "false"],
].flatMap(([name, value]) => ["-c", `${name}=${value}`]);

/** Told in other words, or of no interest to whoever asks an agent for something. */
const KNOWN: ReadonlySet<string> = new Set([
  "account/rateLimits/updated",
  "account/updated",
  "item/commandExecution/outputDelta",
  "item/fileChange/outputDelta",
  "item/fileChange/patchUpdated",
  "item/reasoning/summaryPartAdded",
  "item/reasoning/textDelta",
  "mcpServer/startupStatus/updated",
  "remoteControl/status/changed",
  "serverRequest/resolved",
  "skills/changed",
  "thread/name/updated",
  "thread/settings/updated",
  "thread/started",
  "thread/status/changed",
  "turn/diff/updated",
  "turn/started",
]);

type Answer = (result: Record<string, unknown>, error: string | null) => void;

export class CodexProtocol implements Protocol {
  readonly #told: Told;
  readonly #options: Omit<StartOptions, "command" | "env">;
  readonly #asked = new Map<number, Answer>();
  readonly #steering: Steering;
  #lastId = 0;
  #thread = "";
  #model = "";
  #turn = "";
  /** Somebody wanted the turn to end before its id was known. */
  #isUnwanted = false;
  #lastText: string | null = null;

  constructor(told: Told, options: Omit<StartOptions, "command" | "env">) {
    this.#told = told;
    this.#options = options;
    this.#steering = new Steering((...question) => this.#ask(...question), told);
  }

  begin(): void {
    const clientInfo = { name: "bureau", title: "Bureau", version: VERSION };
    this.#ask("initialize", { clientInfo, capabilities: null }, (_, error) => {
      if (error !== null) return this.#told.fail(error);
      this.#write({ method: "initialized" });
      this.#open();
    });
  }

  #open(): void {
    const { cwd, model, instructions, resume, approve } = this.#options;
    const params = {
      cwd,
      sandbox: "danger-full-access",
      approvalPolicy: approve === undefined ? "never" : "untrusted",
      ...(model === undefined ? {} : { model }),
      ...(instructions === undefined ? {} : { developerInstructions: instructions }),
    };
    const [method, more] = resume === undefined
      ? ["thread/start", {}] as const
      : ["thread/resume", { threadId: resume.session_id, excludeTurns: true }] as const;
    this.#ask(method, { ...params, ...more }, (result, error) => {
      this.#thread = textOf(objectOf(result["thread"])["id"]);
      if (error !== null || this.#thread === "") {
        return this.#told.fail(error ?? "it opened no thread");
      }
      this.#model = textOf(result["model"]);
      this.#told.event({
        type: "session",
        session_id: this.#thread,
        ...(this.#model === "" ? {} : { model: this.#model }),
      });
      this.#told.ready();
    });
  }

  turn(text: string): void {
    this.#turn = "";
    this.#isUnwanted = false;
    this.#lastText = null;
    const input = [{ type: "text", text, text_elements: [] }];
    this.#ask("turn/start", { threadId: this.#thread, input }, (result, error) => {
      if (error !== null) return this.#failed(error);
      this.#turn = textOf(objectOf(result["turn"])["id"]);
      this.#steering.begun(this.#thread, this.#turn);
      if (this.#isUnwanted) this.interrupt();
    });
  }

  steer(text: string, key: string): void {
    this.#steering.add(text, key);
  }

  interrupt(): void {
    this.#isUnwanted = true;
    if (this.#turn === "") return;
    this.#ask("turn/interrupt", { threadId: this.#thread, turnId: this.#turn }, () => {});
  }

  line(text: string): void {
    if (text === "") return;
    const message = parseObject(text);
    if (message === null || !this.#know(message)) this.#told.event({ type: "output", text });
  }

  #write(message: unknown): void {
    this.#told.write(JSON.stringify(message));
  }

  #ask(method: string, params: unknown, answer: Answer): void {
    const id = ++this.#lastId;
    this.#asked.set(id, answer);
    this.#write({ id, method, params });
  }

  #failed(error: string): void {
    this.#told.event({ type: "error", message: error, is_retried: false });
    this.#end({ status: "error", result: null, error });
  }

  #end(end: Parameters<Told["end"]>[0]): void {
    this.#told.end(end);
    this.#steering.ended();
  }

  #know(message: Record<string, unknown>): boolean {
    const { id, method } = message;
    const params = objectOf(message["params"]);
    if (typeof method !== "string") return this.#answered(message);
    if (id !== undefined) return this.#request(id, method, params);
    return this.#notified(method, params);
  }

  #answered(message: Record<string, unknown>): boolean {
    const answer = typeof message["id"] === "number" ? this.#asked.get(message["id"]) : undefined;
    if (answer === undefined) return false;
    this.#asked.delete(message["id"] as number);
    const error = message["error"] === undefined
      ? null
      : textOf(objectOf(message["error"])["message"]) || "unknown";
    answer(objectOf(message["result"]), error);
    return true;
  }

  #notified(method: string, params: Record<string, unknown>): boolean {
    // Helpers of the agent's have threads of their own; their means are no part of its answer.
    const thread = textOf(params["threadId"]);
    if (thread !== "" && this.#thread !== "" && thread !== this.#thread) return KNOWN.has(method);
    switch (method) {
      case "item/agentMessage/delta":
        this.#told.event({ type: "text", text: textOf(params["delta"]), partial: true });
        return true;
      case "item/reasoning/summaryTextDelta":
        this.#told.event({ type: "thinking", text: textOf(params["delta"]), partial: true });
        return true;
      case "item/started":
        return this.#started(objectOf(params["item"]));
      case "item/completed":
        return this.#completed(objectOf(params["item"]));
      case "thread/tokenUsage/updated":
        return this.#usage(objectOf(objectOf(params["tokenUsage"])["last"]));
      case "error": {
        const { message, additionalDetails } = objectOf(params["error"]);
        this.#told.event({
          type: "error",
          message: [message, additionalDetails].filter((one) => typeof one === "string").join(": "),
          is_retried: params["willRetry"] === true,
        });
        return true;
      }
      case "turn/completed":
        return this.#ended(objectOf(params["turn"]));
      case "warning":
      case "configWarning":
        this.#told.event({ type: "output", text: textOf(params["message"] ?? params["summary"]) });
        return true;
      default:
        return KNOWN.has(method);
    }
  }

  #ended(turn: Record<string, unknown>): boolean {
    const error = textOf(objectOf(turn["error"])["message"]);
    switch (turn["status"]) {
      case "completed":
        this.#end({ status: "completed", result: this.#lastText, error: null });
        return true;
      case "interrupted":
        this.#end({ status: "cancelled", result: this.#lastText, error: null });
        return true;
      case "failed":
        this.#failed(error || "unknown");
        return true;
      default:
        return false;
    }
  }

  #usage(last: Record<string, unknown>): boolean {
    const cache_read_tokens = countOf(last["cachedInputTokens"]);
    const cache_write_tokens = countOf(last["cacheWriteInputTokens"]);
    const all = countOf(last["inputTokens"]);
    this.#told.event({
      type: "usage",
      // Theirs counts what came from the cache; ours does not, as Anthropic's.
      input_tokens: Math.max(0, all - cache_read_tokens - cache_write_tokens),
      output_tokens: countOf(last["outputTokens"]),
      cache_read_tokens,
      cache_write_tokens,
      ...(this.#model === "" ? {} : { model: this.#model }),
    });
    return true;
  }

  #started(item: Record<string, unknown>): boolean {
    const call = callOf(item);
    if (call !== null) this.#told.event({ type: "tool_call", id: textOf(item["id"]), ...call });
    // Everything else is told once it is whole.
    return true;
  }

  #completed(item: Record<string, unknown>): boolean {
    switch (item["type"]) {
      case "userMessage":
        this.#steering.taken(textOf(item["clientId"]));
        return true;
      case "agentMessage":
        this.#lastText = textOf(item["text"]);
        this.#told.event({ type: "text", text: this.#lastText });
        return true;
      case "reasoning": {
        const text = [...listOf(item["summary"]), ...listOf(item["content"])].map(textOf).join(
          "\n",
        );
        if (text !== "") this.#told.event({ type: "thinking", text });
        return true;
      }
      default: {
        if (callOf(item) === null) return false;
        this.#told.event({ type: "tool_result", id: textOf(item["id"]), ...resultOf(item) });
        return true;
      }
    }
  }

  #request(id: unknown, method: string, params: Record<string, unknown>): boolean {
    const { approve } = this.#options;
    const asked = questionOf(method, params);
    if (asked === null || approve === undefined) {
      this.#write({ id, error: { code: -32601, message: "nobody is here who could answer" } });
      return false;
    }
    this.#told.event({ type: "state", state: "waiting-approval", message: asked.tool });
    void approve(asked).catch(() => false).then((isAllowed) => {
      this.#told.event({ type: "state", state: "working" });
      this.#write({ id, result: answerTo(method, isAllowed) });
    });
    return true;
  }
}

type Call = Pick<Extract<AgentEvent, { type: "tool_call" }>, "name" | "input">;

function callOf(item: Record<string, unknown>): Call | null {
  switch (item["type"]) {
    case "commandExecution":
      return {
        name: "exec",
        input: { command: item["command"] ?? null, cwd: item["cwd"] ?? null },
      };
    case "fileChange":
      return { name: "apply_patch", input: item["changes"] ?? null };
    case "mcpToolCall":
      return {
        name: `${textOf(item["server"])}.${textOf(item["tool"])}`,
        input: item["arguments"] ?? null,
      };
    case "dynamicToolCall":
      return { name: textOf(item["tool"]), input: item["arguments"] ?? null };
    default:
      return null;
  }
}

function resultOf(item: Record<string, unknown>): { output: string; is_error: boolean } {
  const is_error = item["status"] !== "completed" || Boolean(item["exitCode"]);
  switch (item["type"]) {
    case "commandExecution":
      return { output: textOf(item["aggregatedOutput"]), is_error };
    case "fileChange":
      return { output: textOf(item["status"]), is_error };
    default: {
      const output = item["error"] ?? item["result"] ?? item["contentItems"] ?? null;
      return { output: typeof output === "string" ? output : JSON.stringify(output), is_error };
    }
  }
}
