// SPDX-License-Identifier: Apache-2.0

/** `mcp_proxy`: the orchestrator's MCP tools as a worker's own, each call by mail. */
import { messageOf } from "../../../lib/errors.ts";
import { McpOverMail, type OfferedTool } from "../../mailbox/mod.ts";
import type { McpProxy } from "../../provision/spec.ts";
import type { Tool } from "../../tools/mod.ts";
import { ExecutorError } from "../executor.ts";

export interface MailedTools {
  readonly tools: readonly Tool[];
  readonly close: () => Promise<void>;
}

/** @returns the path of the broker's socket @throws {ExecutorError} */
export function brokerSocket({ endpoint }: McpProxy): string {
  const path = /^(?:unix:)?(\/[^\0,]+)$/.exec(endpoint)?.[1];
  if (path !== undefined) return path;
  throw new ExecutorError("bad-endpoint", "Cannot use mcp_proxy: its endpoint is no Unix socket", {
    hint: "unix:/run/…/broker.sock",
    status: 400,
  });
}

/**
 * An orchestrator that can't be reached now leaves the worker without these tools, and it goes on.
 * @param onMissing hears why
 */
export async function mailedTools(
  childId: string,
  proxy: McpProxy,
  onMissing: (why: string) => void,
): Promise<MailedTools> {
  const socket = brokerSocket(proxy);
  const { orchestrator, token } = proxy;
  let mail: McpOverMail | null = null;
  try {
    const connected = mail = await McpOverMail.connect({ socket, token, childId, orchestrator });
    const offered = await connected.manifest();
    return {
      tools: offered.map((tool) => asTool(orchestrator, tool, connected)),
      close: async () => await connected[Symbol.asyncDispose](),
    };
  } catch (thrown) {
    await mail?.[Symbol.asyncDispose]();
    onMissing(messageOf(thrown));
    return { tools: [], close: () => Promise.resolve() };
  }
}

function asTool(
  orchestrator: string,
  { name, description = "", inputSchema: schema }: OfferedTool,
  mail: McpOverMail,
): Tool {
  return {
    // Never one of the worker's own names: those have their own permissions.
    name: (name.startsWith("mcp__") ? name : `mcp__${orchestrator}__${name}`).replace(
      /[^A-Za-z0-9_-]/g,
      "_",
    ).slice(0, 64),
    ...{ description, schema, isReadOnly: false },
    run: async (input, { signal }) => {
      const { success, result } = await mail.call(name, input, signal);
      return { output: result, is_error: !success };
    },
  };
}
