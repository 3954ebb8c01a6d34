// SPDX-License-Identifier: Apache-2.0

/**
 * `mcp_proxy`: the tools of an orchestrator's MCP servers, for workers that can't reach those servers. A request and its
 * answer are messages; each has a correlation id, so many can be on their way.
 */
import * as z from "zod/mini";
import { APPROVAL_TIMEOUT_MS } from "../../lib/approval/limits.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { MailClient, type MailClientOptions } from "./client.ts";
import { MailError } from "./errors.ts";
import type { MailMessage } from "./message.ts";

/** The worker's mailbox of answers: not its own, whose messages are for it. */
export const mcpAddress = (childId: string): string => `${childId}#mcp`;

export const OfferedTool = z.object({
  name: z.string(),
  description: z.optional(z.string()),
  inputSchema: z.record(z.string(), z.unknown()),
});
export type OfferedTool = z.infer<typeof OfferedTool>;

const Request = z.discriminatedUnion("op", [
  z.object({ op: z.literal("manifest") }),
  /** `arguments` is JSON in a text, as the model wrote it. */
  z.object({ op: z.literal("call"), tool: z.string(), arguments: z.string() }),
]);

const Reply = z.object({
  manifest: z.optional(z.array(OfferedTool)),
  result: z.optional(z.object({ success: z.boolean(), result: z.string() })),
  error: z.optional(z.string()),
});
type Reply = z.infer<typeof Reply>;

export interface ToolResult {
  readonly success: boolean;
  readonly result: string;
}

/** A call takes so long; one that waits for a person's leave may take longer. */
const CALL_MS = 30_000 + APPROVAL_TIMEOUT_MS;
const MANIFEST_MS = 30_000;

export interface McpWorkerOptions extends Pick<MailClientOptions, "socket" | "token" | "clock"> {
  readonly childId: string;
  readonly orchestrator: string;
}

/** The worker's end. */
export class McpOverMail implements AsyncDisposable {
  readonly #options: McpWorkerOptions;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  #client!: MailClient;

  private constructor(options: McpWorkerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** @throws {MailError} */
  static async connect(options: McpWorkerOptions): Promise<McpOverMail> {
    const one = new McpOverMail(options);
    one.#client = await MailClient.connect({
      ...options,
      agent: mcpAddress(options.childId),
      onMessage: (message) => Promise.resolve(one.#take(message)),
    });
    return one;
  }

  /** @throws {MailError} */
  async manifest(): Promise<readonly OfferedTool[]> {
    const { manifest, error } = await this.#ask({ op: "manifest" }, MANIFEST_MS);
    if (manifest === undefined) throw new MailError("refused", `Cannot list tools: ${error}`);
    return manifest;
  }

  /** @throws {MailError} `late`, `broker-gone`; the signal's reason, of which the other end hears */
  async call(
    tool: string,
    input: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<ToolResult> {
    const request = { op: "call", tool, arguments: JSON.stringify(input) } as const;
    const { result, error } = await this.#ask(request, CALL_MS, signal);
    return result ?? { success: false, result: error ?? "no answer" };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }

  async #ask(body: z.infer<typeof Request>, ms: number, signal?: AbortSignal): Promise<Reply> {
    signal?.throwIfAborted();
    const id = crypto.randomUUID();
    const { orchestrator, childId } = this.#options;
    const over = new AbortController();
    const both = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    try {
      const answered = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
      const late = this.#clock.sleep(ms, both).then(() => {
        throw new MailError("late", `No answer to "${body.op}" within ${ms / 1000} s`);
      }, () => new Promise<never>((_, reject) => signal?.aborted && reject(signal.reason)));
      late.catch(() => {});
      await Promise.race([this.#client.deliver(orchestrator, message(childId, id, body)), late]);
      return await Promise.race([answered, late]);
    } catch (thrown) {
      this.#client.cancel(orchestrator, id);
      throw thrown;
    } finally {
      this.#waiting.delete(id);
      over.abort();
    }
  }

  #take({ kind, from, body, correlation_id: id }: MailMessage): void {
    // From nobody else: the broker says who it is.
    if (kind !== "mcp_reply" || from.session_id !== this.#options.orchestrator) return;
    const reply = z.safeParse(Reply, body);
    this.#waiting.get(id ?? "")?.(reply.success ? reply.data : { error: "it is no answer" });
  }
}

export interface McpOrchestratorOptions
  extends Pick<MailClientOptions, "socket" | "agent" | "token" | "clock"> {
  /** What this worker may see and call; asked for the list, and again for each call. */
  readonly toolsFor: (childId: string) => readonly OfferedTool[] | Promise<readonly OfferedTool[]>;
  readonly call: (
    call: {
      readonly childId: string;
      readonly tool: string;
      readonly input: Readonly<Record<string, unknown>>;
    },
    signal: AbortSignal,
  ) => Promise<ToolResult>;
}

/** The orchestrator's end: answers until it is disposed of. */
export async function serveMcp(options: McpOrchestratorOptions): Promise<AsyncDisposable> {
  const running = new Map<string, AbortController>();
  const client: MailClient = await MailClient.connect({
    ...options,
    // Not waited for: one slow call holds no other up.
    onMessage: (asked) => {
      if (asked.kind === "mcp_request") void serve(asked);
      return Promise.resolve();
    },
    onCancel: (id) => running.get(id)?.abort(),
  });

  async function serve({ id, from, body }: MailMessage): Promise<void> {
    const to = from.session_id;
    const life = new AbortController();
    running.set(id, life);
    try {
      const reply = await answer(options, to.replace(/#mcp$/, ""), body, life.signal)
        .catch((thrown): Reply => ({ error: messageOf(thrown) }));
      if (life.signal.aborted) return;
      const { agent } = options;
      await client.deliver(to, {
        ...message(agent, crypto.randomUUID(), reply),
        kind: "mcp_reply",
        correlation_id: id,
      });
    } catch {
      // Its asker is gone, or the broker: the answer is nobody's.
    } finally {
      running.delete(id);
    }
  }

  return {
    [Symbol.asyncDispose]: async () => {
      for (const life of running.values()) life.abort();
      await client[Symbol.asyncDispose]();
    },
  };
}

async function answer(
  { toolsFor, call }: McpOrchestratorOptions,
  childId: string,
  body: unknown,
  signal: AbortSignal,
): Promise<Reply> {
  const parsed = z.safeParse(Request, body);
  if (!parsed.success) return { error: "it is no request" };
  const tools = await toolsFor(childId);
  if (parsed.data.op === "manifest") return { manifest: [...tools] };
  const { tool, arguments: text } = parsed.data;
  if (!tools.some(({ name }) => name === tool)) return { error: `"${tool}" is not offered to you` };
  const input: unknown = JSON.parse(text);
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    return { error: "its arguments are no object" };
  }
  return { result: await call({ childId, tool, input: input as Record<string, unknown> }, signal) };
}

function message(from: string, id: string, body: unknown): MailMessage {
  return {
    ...{ id, from: { session_id: from }, kind: "mcp_request", body },
    created_at: new Date().toISOString(),
  };
}
