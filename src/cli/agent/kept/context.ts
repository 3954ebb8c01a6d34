// SPDX-License-Identifier: Apache-2.0

/** `agent context`: the commits of what an agent knows, what they say, and a beginning for another from one of them. */
import { neutralise } from "../../../lib/terminal/mod.ts";
import type { Checkpoint, Commit } from "../../../services/agent/api.ts";
import { shortName } from "../list.ts";
import type { CommandHandler, Invocation } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import type * as results from "./results.ts";
import { table } from "../../framework/table.ts";
import { agentId, type AgentService, emitLines, limitOf, time, withService } from "./client.ts";

/** So much of an id is enough to name it among the newest. */
const SHORT = 16;

export const list: CommandHandler<typeof results.list> = (call) =>
  withService(call, async (service, agent) => {
    const query = { limit: limitOf(call) };
    const found = await service.call("commits", {
      ...{ params: { agent }, query, signal: call.signal },
    });
    if (found.commits.length === 0) call.print("no context is kept of it");
    else {
      const rows = found.commits.map((commit) => [
        commit.id === found.tip ? "*" : "",
        commit.id.slice(0, SHORT),
        time(commit.created_at),
        commit.type,
        commit.checkpoint,
        commit.format,
        `${commit.bytes} bytes`,
        neutralise(commit.summary ?? ""),
      ]);
      for (const line of table(["", "COMMIT", "MADE", "", "", "", "", ""], rows)) call.print(line);
    }
    return found;
  });

export const show: CommandHandler<typeof results.show> = (call) =>
  withService(call, async (service, agent) => {
    const commit = await find(call, service, agent);
    const rows: [string, string | undefined | null][] = [
      ["commit", commit.id],
      ["follows", commit.parent ?? "nothing"],
      ["made", `${time(commit.created_at)}, ${commit.type}, ${commit.checkpoint}`],
      ["session", commit.session_id],
      ["content", `${commit.bytes} bytes, ${commit.format}`],
      ["messages", commit.messages?.toString()],
      ["tokens", commit.tokens?.toString()],
      ["summary", commit.summary],
    ];
    for (const [name, value] of rows) {
      if (typeof value === "string") call.print(`${name.padEnd(12)} ${neutralise(value)}`);
    }
    return commit;
  });

export const materialise: CommandHandler = (call) =>
  withService(call, async (service, agent) => {
    const { id } = await find(call, service, agent);
    const wanted = String(call.flags["stop"] ?? "compaction");
    const stop = wanted.startsWith("ctx-") ? await fullId(call, service, agent, wanted) : wanted;
    const params = { agent, commit: id };
    await emitLines(
      call,
      await service.stream("materialise", { params, query: { stop }, signal: call.signal }),
    );
    return undefined;
  });

export const fork: CommandHandler<typeof results.fork> = (call) =>
  withService(call, async (service, agent, session) => {
    const from = await find(call, service, agent);
    const to = call.flags["to"] === undefined ? agent : agentId(session, String(call.flags["to"]));
    const summary = call.flags["summary"];
    const checkpoint: Checkpoint = {
      parent: from.id,
      type: "delta",
      format: from.format,
      session_id: null,
      checkpoint: "explicit",
      summary: summary === undefined ? `forked from ${from.id.slice(0, SHORT)}` : String(summary),
    };
    const made = await service.call("checkpoint", {
      params: { agent: to },
      bytes: new TextEncoder().encode(`${JSON.stringify(checkpoint)}\n`),
      signal: call.signal,
    });
    call.print(
      `${made.id.slice(0, SHORT)} is where ${shortName(to.slice(1).split(":")[0]!)} is now`,
    );
    return made;
  });

/** The commit that the second argument names by its beginning; absent: the newest. */
async function find(call: Invocation, service: AgentService, agent: string): Promise<Commit> {
  const id = await fullId(call, service, agent, call.args[1]);
  const params = { agent, commit: id };
  return await service.call("commit", { params, signal: call.signal });
}

async function fullId(
  call: Invocation,
  service: AgentService,
  agent: string,
  text: string | undefined,
): Promise<string> {
  if (text !== undefined && /^ctx-[0-9a-f]{64}$/.test(text)) return text;
  const { tip, commits } = await service.call("commits", {
    ...{ params: { agent }, query: { limit: "1000" }, signal: call.signal },
  });
  if (text === undefined && tip !== null) return tip;
  const found = commits.filter(({ id }) => text !== undefined && id.startsWith(text));
  if (found.length === 1) return found[0]!.id;
  throw new CliError(
    "no-such-commit",
    text === undefined
      ? "Cannot find a commit: no context is kept of it"
      : `Cannot find the commit "${text}": ${found.length} begin so`,
    { status: 404, hint: "`bureau agent context list NAME` shows them" },
  );
}
