// SPDX-License-Identifier: Apache-2.0

/**
 * Claude Code: `claude -p` with JSON lines in and out (`stream-json`). Its messages are nested as in Anthropic's API;
 * one process answers any number of them, and `--resume` goes on with an earlier session. Tried on 2.1.330.
 */
import type { AgentEvent, TokenUsage } from "../event.ts";
import type { ApprovalRequest, Driver, StartOptions } from "./driver.ts";
import { countOf, listOf, objectOf, parseObject, textOf } from "./lines.ts";
import { type Protocol, startProgram, type Told } from "./program.ts";

export const claude: Driver = {
  name: "claude",
  lost: /\bNo conversation found\b/i,
  start: (options) =>
    startProgram(
      { ...options, arguments: argumentsOf(options) },
      (told) => new ClaudeProtocol(told, options),
    ),
};

/** What Claude Code is not to do where a program drives it, and where its network is what its proxy lets through. */
export const CLAUDE_ENVIRONMENT: Readonly<Record<string, string>> = {
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  DISABLE_AUTOUPDATER: "1",
  DISABLE_ERROR_REPORTING: "1",
  DISABLE_TELEMETRY: "1",
};

function argumentsOf({ model, instructions, resume, approve }: StartOptions): string[] {
  return [
    "-p",
    ...["--input-format", "stream-json", "--output-format", "stream-json", "--verbose"],
    "--include-partial-messages",
    ...(approve === undefined
      ? ["--permission-mode", "bypassPermissions"]
      : ["--permission-mode", "default", "--permission-prompt-tool", "stdio"]),
    ...(model === undefined ? [] : ["--model", model]),
    ...(instructions === undefined ? [] : ["--append-system-prompt", instructions]),
    ...(resume === undefined ? [] : ["--resume", resume.session_id]),
  ];
}

/** Of an API's answer in progress. */
interface Usage {
  readonly model: string;
  readonly fields: Record<string, unknown>;
}

export class ClaudeProtocol implements Protocol {
  readonly #told: Told;
  readonly #options: Pick<StartOptions, "approve" | "resume">;
  #session = "";
  /** By the tool call that a helper of the agent's works for; "" is the agent itself. */
  readonly #usage = new Map<string, Usage>();
  #interrupts = 0;
  #isInterrupted = false;

  constructor(told: Told, options: Pick<StartOptions, "approve" | "resume">) {
    this.#told = told;
    this.#options = options;
  }

  begin(): void {
    // It says nothing before its first message.
    this.#told.ready();
  }

  /** @param key absent: it tells nothing of what became of it */
  turn(text: string, key?: string): void {
    this.#isInterrupted = false;
    this.#user(text, key);
  }

  steer(text: string, key: string): void {
    this.#user(text, key);
  }

  #user(content: string, key?: string): void {
    this.#write({
      type: "user",
      message: { role: "user", content },
      ...(key === undefined ? {} : { uuid: key }),
    });
  }

  interrupt(): void {
    this.#isInterrupted = true;
    this.#write({
      type: "control_request",
      request_id: `interrupt-${++this.#interrupts}`,
      request: { subtype: "interrupt" },
    });
  }

  line(text: string): void {
    if (text === "") return;
    const message = parseObject(text);
    if (message === null || !this.#know(message)) this.#told.event({ type: "output", text });
  }

  #write(message: unknown): void {
    this.#told.write(JSON.stringify(message));
  }

  /** @returns whether this was something that is known */
  #know(message: Record<string, unknown>): boolean {
    switch (message["type"]) {
      case "system":
        return this.#system(message);
      case "stream_event":
        return this.#stream(message);
      case "assistant":
        return this.#content(message, (block) => this.#said(block, message));
      case "user":
        return this.#content(message, (block) => this.#gotBack(block));
      case "result":
        this.#result(message);
        return true;
      case "control_request":
        return this.#asked(message);
      case "command_lifecycle":
        return this.#became(textOf(message["command_uuid"]), message["state"]);
      case "control_response":
      case "control_cancel_request":
      case "keep_alive":
        return true;
      default:
        return false;
    }
  }

  /** Of a message by its uuid: it is queued, the turn has it, the turn is over, or it was taken back. */
  #became(key: string, state: unknown): boolean {
    if (state === "started") this.#told.steered(key, "taken");
    else if (state === "cancelled") this.#told.steered(key, "refused");
    return true;
  }

  #system(message: Record<string, unknown>): boolean {
    switch (message["subtype"]) {
      case "init": {
        const session_id = textOf(message["session_id"]);
        if (session_id === "" || session_id === this.#session) return session_id !== "";
        this.#session = session_id;
        const model = textOf(message["model"]);
        this.#told.event({ type: "session", session_id, ...(model === "" ? {} : { model }) });
        return true;
      }
      case "api_retry": {
        const status = message["error_status"];
        const why = textOf(message["error"]) || "unknown";
        this.#told.event({
          type: "error",
          message: typeof status === "number"
            ? `the model's API: ${why} (${status})`
            : `the model's API: ${why}`,
          is_retried: true,
        });
        return true;
      }
      case "status":
        return true;
      default:
        return false;
    }
  }

  /** Pieces of an answer, and its final usage, which no other message has. */
  #stream(message: Record<string, unknown>): boolean {
    const helper = textOf(message["parent_tool_use_id"]);
    const event = objectOf(message["event"]);
    switch (event["type"]) {
      case "message_start": {
        this.#tellUsage(helper);
        const { model, usage } = objectOf(event["message"]);
        this.#usage.set(helper, { model: textOf(model), fields: { ...objectOf(usage) } });
        return true;
      }
      case "message_delta": {
        const usage = this.#usage.get(helper);
        if (usage !== undefined) Object.assign(usage.fields, objectOf(event["usage"]));
        return true;
      }
      case "message_stop":
        this.#tellUsage(helper);
        return true;
      case "content_block_delta": {
        const { type, text, thinking } = objectOf(event["delta"]);
        if (helper !== "") return true;
        if (type === "text_delta") {
          this.#told.event({ type: "text", text: textOf(text), partial: true });
        } else if (type === "thinking_delta") {
          this.#told.event({ type: "thinking", text: textOf(thinking), partial: true });
        }
        return true;
      }
      case "content_block_start":
      case "content_block_stop":
      case "ping":
        return true;
      default:
        return false;
    }
  }

  #tellUsage(helper: string): void {
    const usage = this.#usage.get(helper);
    if (usage === undefined) return;
    this.#usage.delete(helper);
    this.#told.event({ type: "usage", ...tokens(usage) });
  }

  #content(
    message: Record<string, unknown>,
    each: (block: Record<string, unknown>) => AgentEvent | null | "unknown",
  ): boolean {
    const { content } = objectOf(message["message"]);
    // What a person said, repeated.
    if (typeof content === "string") return true;
    if (!Array.isArray(content)) return false;
    for (const one of content) {
      const event = each(objectOf(one));
      if (event === "unknown") this.#told.event({ type: "output", text: JSON.stringify(one) });
      else if (event !== null) this.#told.event(event);
    }
    return true;
  }

  #said(
    block: Record<string, unknown>,
    message: Record<string, unknown>,
  ): AgentEvent | null | "unknown" {
    const isHelper = textOf(message["parent_tool_use_id"]) !== "";
    switch (block["type"]) {
      case "text":
        // The agent's own words are the answer; a helper's are its means.
        return isHelper
          ? { type: "output", text: textOf(block["text"]) }
          : { type: "text", text: textOf(block["text"]) };
      case "thinking":
        return { type: "thinking", text: textOf(block["thinking"]) };
      case "tool_use":
      case "server_tool_use":
        return {
          type: "tool_call",
          id: textOf(block["id"]),
          name: textOf(block["name"]),
          input: block["input"] ?? null,
        };
      default:
        return "unknown";
    }
  }

  #gotBack(block: Record<string, unknown>): AgentEvent | null | "unknown" {
    switch (block["type"]) {
      case "tool_result":
        return {
          type: "tool_result",
          id: textOf(block["tool_use_id"]),
          output: flat(block["content"]),
          is_error: block["is_error"] === true,
        };
      case "text":
        // Its own words to its model, such as that it was interrupted.
        return { type: "output", text: textOf(block["text"]) };
      default:
        return "unknown";
    }
  }

  #result(message: Record<string, unknown>): void {
    for (const helper of [...this.#usage.keys()]) this.#tellUsage(helper);
    const usd = message["total_cost_usd"];
    if (typeof usd === "number" && usd >= 0) {
      this.#told.event({ type: "cost", usd: usd + (this.#options.resume?.usd ?? 0) });
    }
    const result = typeof message["result"] === "string" ? message["result"] : null;
    const subtype = textOf(message["subtype"]);
    if (this.#isInterrupted || message["terminal_reason"] === "aborted_streaming") {
      this.#isInterrupted = false;
      return this.#told.end({ status: "cancelled", result, error: null });
    }
    if (message["is_error"] !== true && subtype === "success") {
      return this.#told.end({ status: "completed", result, error: null });
    }
    const errors = listOf(message["errors"]).filter((one) => typeof one === "string");
    const error = errors.join("; ") || result || subtype || "unknown";
    this.#told.event({ type: "error", message: error, is_retried: false });
    this.#told.end({ status: "error", result: null, error });
  }

  #asked(message: Record<string, unknown>): boolean {
    const request = objectOf(message["request"]);
    const id = textOf(message["request_id"]);
    const { approve } = this.#options;
    if (request["subtype"] !== "can_use_tool" || approve === undefined) {
      this.#write({
        type: "control_response",
        response: { subtype: "error", request_id: id, error: "nobody is here who could answer" },
      });
      return false;
    }
    const asked: ApprovalRequest = {
      id,
      tool: textOf(request["tool_name"]),
      input: request["input"] ?? null,
      reason: textOf(request["description"]) || null,
    };
    this.#told.event({ type: "state", state: "waiting-approval", message: asked.tool });
    void approve(asked).catch(() => false).then((isAllowed) => {
      this.#told.event({ type: "state", state: "working" });
      this.#write({
        type: "control_response",
        response: {
          subtype: "success",
          request_id: id,
          response: isAllowed
            ? { behavior: "allow", updatedInput: asked.input }
            : { behavior: "deny", message: "this was not approved" },
        },
      });
    });
    return true;
  }
}

function tokens({ model, fields }: Usage): TokenUsage {
  return {
    input_tokens: countOf(fields["input_tokens"]),
    output_tokens: countOf(fields["output_tokens"]),
    cache_read_tokens: countOf(fields["cache_read_input_tokens"]),
    cache_write_tokens: countOf(fields["cache_creation_input_tokens"]),
    ...(model === "" ? {} : { model }),
  };
}

/** A tool's result as text: other blocks keep their JSON, but for what is in pictures. */
function flat(content: unknown): string {
  if (typeof content === "string") return content;
  return listOf(content).map((one) => {
    const block = objectOf(one);
    if (block["type"] === "text") return textOf(block["text"]);
    if (block["type"] === "image") return "[image]";
    return JSON.stringify(one);
  }).join("\n");
}
