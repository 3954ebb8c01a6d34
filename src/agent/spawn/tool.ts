// SPDX-License-Identifier: Apache-2.0

/** `spawn_worker`: a model gives part of its work to another one, and has that one's last words as the result. */
import * as z from "zod/mini";
import { messageOf } from "../../lib/errors.ts";
import { AgentEvent, type TokenUsage } from "../event.ts";
import type { Worker } from "../parent/worker.ts";
import { defineTool, type Tool, ToolError, type ToolOutput } from "../tools/mod.ts";

export interface Asked {
  readonly assignment: string;
  readonly role?: string;
  readonly model?: string;
  readonly disabled_tools?: readonly string[];
  readonly max_rounds?: number;
}

export interface SpawnOptions {
  /** @throws why there is none, for the model */
  readonly start: (asked: Asked, signal: AbortSignal) => Promise<Worker>;
  /**
   * What a worker took, counted with what its asker takes. `usage` is null for what was only priced.
   * @throws {LimitError} when that is all there was: the worker is ended
   */
  readonly spend: (by: string, usage: TokenUsage | null, usd: number) => Promise<void>;
}

export const SPAWN_TOOL = "spawn_worker";

export function spawnTool({ start, spend }: SpawnOptions): Tool {
  return defineTool({
    name: SPAWN_TOOL,
    description:
      "Give an assignment to another agent and wait for its last words, which are the result. It has the same " +
      "workspace, at most your tools, and knows nothing of this conversation: say all that it needs, and what it is " +
      "to answer. Several calls in one answer are worked on at one time; give them different files.",
    isReadOnly: false,
    isConcurrent: true,
    properties: {
      assignment: { type: "string", description: "What it is to do, whole" },
      role: { type: "string", description: "What it is, in a word, e.g. researcher" },
      model: { type: "string", description: "Another model of the same provider; default: yours" },
      disabled_tools: { type: "strings", description: "Tools that it is not to have" },
      max_rounds: { type: "integer", description: "Its answers, at most", minimum: 1 },
    },
    required: ["assignment"],
    run: async (asked, { signal }) => {
      if (asked.assignment.trim() === "") throw new ToolError("the assignment is empty");
      const worker = await start(asked, signal);
      try {
        return await carriedOut(worker, asked.assignment, spend, signal);
      } finally {
        await worker.end();
      }
    },
  });
}

async function carriedOut(
  worker: Worker,
  assignment: string,
  spend: SpawnOptions["spend"],
  signal: AbortSignal,
): Promise<ToolOutput> {
  const account = new Account((...spent) => spend(worker.record.agent_id, ...spent));
  const outcome = await worker.run({ assignment }, {
    signal: AbortSignal.any([signal, account.overdrawn]),
    onEvent: (event) => account.hear(event),
  });
  const refusal = await account.settled();
  signal.throwIfAborted();
  if (refusal !== null) throw new ToolError(`it was ended: ${refusal}`);
  switch (outcome.status) {
    case "completed":
      return { output: outcome.result, is_error: false };
    case "cancelled":
      throw new ToolError("it was cancelled");
    default:
      throw new ToolError(`it failed: ${outcome.error}`);
  }
}

/** What a worker says that it took. */
class Account {
  readonly #spend: (usage: TokenUsage | null, usd: number) => Promise<void>;
  readonly #overdrawn = new AbortController();
  #spent: Promise<void> = Promise.resolve();
  #refusal: string | null = null;
  #usd = 0;

  constructor(spend: (usage: TokenUsage | null, usd: number) => Promise<void>) {
    this.#spend = spend;
  }

  /** Aborts when nothing is left to spend. */
  get overdrawn(): AbortSignal {
    return this.#overdrawn.signal;
  }

  hear(told: unknown): void {
    const { success, data: event } = z.safeParse(AgentEvent, told);
    if (!success) return;
    if (event.type === "usage") {
      const { type: _, by: __, ...usage } = event;
      this.#take(usage, 0);
    } else if (event.type === "cost") {
      // It tells the sum; one that falls takes nothing back.
      const more = event.usd - this.#usd;
      if (more <= 0) return;
      this.#usd = event.usd;
      this.#take(null, more);
    }
  }

  /** @returns why no more may be spent, or null */
  async settled(): Promise<string | null> {
    await this.#spent;
    return this.#refusal;
  }

  #take(usage: TokenUsage | null, usd: number): void {
    this.#spent = this.#spent.then(() => this.#spend(usage, usd)).catch((thrown) => {
      this.#refusal ??= messageOf(thrown);
      this.#overdrawn.abort();
    });
  }
}
