// SPDX-License-Identifier: Apache-2.0

/** The tools that one agent has, and how a model's calls are carried out. */
import type { ToolDefinition, ToolResultBlock, ToolUseBlock } from "../model/types.ts";
import { capped } from "./cap.ts";
import { type Tool, type ToolContext, wordsOf } from "./tool.ts";

/** @returns why a call is refused; null: it may be carried out */
export type Gate = (call: ToolUseBlock, signal: AbortSignal) => Promise<string | null>;

export interface BoxOptions {
  readonly tools: readonly Tool[];
  /** Beside them: those that there are at the moment of asking. */
  readonly passing?: () => readonly Tool[];
  /** Exact names; the model does not learn that there are such tools. */
  readonly disabled?: readonly string[];
  readonly workspace: string;
  /** Asked before each call; what it throws refuses the call. */
  readonly gate?: Gate;
}

/** At one time. */
const MOST_AT_ONCE = 8;

export class ToolBox {
  readonly #lasting: readonly Tool[];
  readonly #passing: () => readonly Tool[];
  readonly #disabled: readonly string[];
  readonly #workspace: string;
  readonly #gate: Gate;

  constructor({ tools, passing, disabled = [], workspace, gate }: BoxOptions) {
    this.#lasting = tools;
    this.#passing = passing ?? (() => []);
    this.#disabled = disabled;
    this.#workspace = workspace;
    this.#gate = gate ?? (() => Promise.resolve(null));
  }

  get #tools(): ReadonlyMap<string, Tool> {
    const tools = new Map<string, Tool>();
    for (const tool of [...this.#lasting, ...this.#passing()]) {
      if (!this.#disabled.includes(tool.name) && !tools.has(tool.name)) tools.set(tool.name, tool);
    }
    return tools;
  }

  get definitions(): readonly ToolDefinition[] {
    return [...this.#tools.values()].map(({ name, description, schema }) => ({
      name,
      description,
      schema,
    }));
  }

  /**
   * Every call has its result, in the order of the calls, also when `signal` aborts meanwhile. Neighbours
   * that change nothing, or say that they may, run at one time, everything else one after the other.
   */
  async runAll(
    calls: readonly ToolUseBlock[],
    signal: AbortSignal,
    onResult: (result: ToolResultBlock) => Promise<void>,
  ): Promise<ToolResultBlock[]> {
    const results: ToolResultBlock[] = [];
    for (let at = 0; at < calls.length;) {
      const group = [calls[at]!];
      while (
        this.#isConcurrent(group[0]!) && group.length < MOST_AT_ONCE &&
        calls[at + group.length] !== undefined && this.#isConcurrent(calls[at + group.length]!)
      ) group.push(calls[at + group.length]!);
      at += group.length;
      results.push(
        ...await Promise.all(group.map(async (call) => {
          const result = await this.#run(call, signal);
          await onResult(result);
          return result;
        })),
      );
    }
    return results;
  }

  #isConcurrent({ name }: ToolUseBlock): boolean {
    const tool = this.#tools.get(name);
    return tool?.isReadOnly === true || tool?.isConcurrent === true;
  }

  async #run(call: ToolUseBlock, signal: AbortSignal): Promise<ToolResultBlock> {
    const result = (output: string, is_error: boolean): ToolResultBlock => ({
      type: "tool_result",
      id: call.id,
      output: capped(output),
      is_error,
    });
    if (signal.aborted) return result("cancelled before it began", true);
    const tools = this.#tools;
    const tool = tools.get(call.name);
    if (tool === undefined) {
      return result(
        `there is no tool "${call.name}"; there are ${[...tools.keys()].join(", ")}`,
        true,
      );
    }
    if (call.malformed !== undefined) {
      return result(`the arguments are no JSON object: ${call.malformed.slice(0, 500)}`, true);
    }
    try {
      const refused = await this.#gate(call, signal);
      if (refused !== null) return result(`refused: ${refused}`, true);
      const context: ToolContext = { workspace: this.#workspace, signal };
      const { output, is_error } = await tool.run(call.input, context);
      return result(output, is_error);
    } catch (thrown) {
      return result(signal.aborted ? "cancelled" : wordsOf(thrown), true);
    }
  }
}
