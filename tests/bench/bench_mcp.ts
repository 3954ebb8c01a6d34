// SPDX-License-Identifier: Apache-2.0

/** `bureau mcp serve` as a program sees it: from its start to the list of all tools, a list, a call; and its memory. */
// @ts-types="@modelcontextprotocol/sdk/client/index"
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
// @ts-types="@modelcontextprotocol/sdk/client/stdio"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
// @ts-types="@modelcontextprotocol/sdk/types"
import { ListToolsResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { type Bureau, ROOT, withBureau } from "../e2e/harness.ts";
import { memoryOf, percentile, report } from "./report.ts";

const STARTS = 10;
const CALLS = 100;
const QUESTION = ["me", "observe", "machine"] as const;

async function start(bureau: Bureau): Promise<{ client: Client; pid: number; ms: number }> {
  const directories = ["--state-dir", bureau.stateDir, "--run-dir", bureau.runDir];
  const transport = new StdioClientTransport({
    command: "sh",
    args: [`${ROOT}/tasks/bureau`, "mcp", "serve", ...directories],
    env: Deno.env.toObject(),
  });
  const client = new Client({ name: "bench", version: "1" }, { capabilities: {} });
  const begun = performance.now();
  await client.connect(transport as never, { timeout: 120_000 });
  const { tools, nextCursor } = await listOf(client);
  if (tools.length < 60 || nextCursor !== undefined) throw new Error(`${tools.length} tools`);
  return { client, pid: transport.pid!, ms: performance.now() - begun };
}

/** `client.listTools()` compiles a validator for each tool besides, which is the client's own time. */
const listOf = (client: Client) =>
  client.request({ method: "tools/list", params: {} }, ListToolsResultSchema);

async function timesOf(count: number, act: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    const begun = performance.now();
    await act();
    times.push(performance.now() - begun);
  }
  return times;
}

await withBureau(async (bureau) => {
  const up = await bureau.up("--detach");
  if (up.code !== 0) throw new Error(up.stdout + up.stderr);
  const starts: number[] = [];
  for (let at = 0; at < STARTS; at++) {
    const { client, ms } = await start(bureau);
    starts.push(ms);
    await client.close();
  }
  const ms = (id: string, sample: readonly number[], more = {}) =>
    report({ id, value: percentile(sample, 0.5), unit: "ms", ...more });
  ms("mcp.start", starts);
  const { client, pid } = await start(bureau);
  ms("mcp.list", await timesOf(CALLS, () => listOf(client)));
  const [actor, action, target] = QUESTION;
  const params = { name: "bureau_auth_check", arguments: { actor, action, target } };
  const calls = await timesOf(CALLS, () => client.callTool(params));
  // What a program would have done without it.
  const commands = await timesOf(STARTS, () => bureau.cli("auth", "check", ...QUESTION));
  ms("mcp.call", calls, {
    alternative: { name: "the command, each time", value: percentile(commands, 0.5) },
  });
  report({ id: "mcp.memory", value: (await memoryOf(pid)).privateMb, unit: "MB" });
  await client.close();
});
