// SPDX-License-Identifier: Apache-2.0

/**
 * What the agent's proxy does for it, as tools of its own. They are those of its sandbox's MCP server, called in this process: a
 * second one, and the SDK, would cost more memory than the agent itself.
 */
import { proxyCatalog } from "../../src/agent/mcp/mod.ts";
import type { Tool } from "../../src/agent/tools/mod.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { Caller } from "../../src/mcp/call.ts";
import { shownInput } from "../../src/mcp/tool.ts";

/** A call asks by itself; this is how soon the model hears of what it may besides. */
const RIGHTS_MS = 10_000;

/** @returns the tools that the agent may use at the moment of asking */
export async function bureauTools(
  proxy: ProxyClient,
  signal: AbortSignal,
): Promise<() => readonly Tool[]> {
  const catalog = proxyCatalog(proxy, { everyMs: RIGHTS_MS, signal });
  const caller = new Caller({ catalog, instead: null });
  await catalog.rights.refresh();
  void catalog.rights.follow();
  return () =>
    catalog.visible().map((tool): Tool => ({
      name: tool.name,
      description: tool.description,
      schema: { ...shownInput(tool) },
      isReadOnly: tool.effect === "reads",
      run: async (input, { signal }) => {
        const answer = await caller.call(tool.name, input, { line: () => {}, signal });
        return answer === null
          ? { output: `you may not use "${tool.name}" any more`, is_error: true }
          : { output: answer.content[0]!.text, is_error: answer.isError === true };
      },
    }));
}
