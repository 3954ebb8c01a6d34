// SPDX-License-Identifier: Apache-2.0

/** The agent service, asked through the daemon in the operator's own name. */
import { type Client, createClient } from "../../../lib/http/mod.ts";
import { userId } from "../../../lib/ref/mod.ts";
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import { agentServiceApi } from "../../../services/agent/api.ts";
import type { Invocation } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import { loadSession, type OperatorSession, principalOf } from "../../session.ts";

export type AgentService = Client<typeof agentServiceApi>;

export function agentService(call: Invocation, session: OperatorSession): AgentService {
  return createClient(agentServiceApi, {
    socket: `${call.runDir}/daemon/daemon.sock`,
    token: session.access_token,
    prefix: "/v1/services/agent/call",
    peer: "Bureau daemon",
  });
}

/** User id of an agent as a person names it. */
export function agentId(session: OperatorSession, name: string): string {
  return userId(principalOf(session, name), session.server_name);
}

/** With the service, and the agent that the first argument names. */
export async function withService<T>(
  call: Invocation,
  use: (service: AgentService, agent: string, session: OperatorSession) => Promise<T>,
): Promise<T> {
  const session = await loadSession(call);
  const service = agentService(call, session);
  try {
    return await use(service, agentId(session, call.args[0]!), session);
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code !== "role-unbound") throw thrown;
    throw new CliError("no-agent-service", "Cannot ask the agent service: none fills its role", {
      status: 404,
      hint:
        "sh tasks/bureau service create agent --template bureau/template:agent-service --role agent",
    });
  } finally {
    service.close();
  }
}

/** Lines as they were kept; on a terminal they are shown, and not obeyed. */
export async function emitLines(
  call: Invocation,
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<void> {
  const isTerminal = Deno.stdout.isTerminal();
  const emit = (line: string) => call.emit(isTerminal ? neutraliseLine(line) : line);
  let rest = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${part}`.split("\n");
    rest = lines.pop()!;
    for (const line of lines) emit(line);
  }
  if (rest !== "") emit(rest);
}

/** A number that a flag gives, from 1 to 1000. */
export function limitOf(call: Invocation): string {
  const text = String(call.flags["limit"] ?? "20");
  if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 1000) return text;
  throw new CliError("usage", `Cannot show "${text}" of them: 1 to 1000`);
}

export const time = (ms: number): string =>
  new Date(ms).toISOString().slice(0, 19).replace("T", " ");
