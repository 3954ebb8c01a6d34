// SPDX-License-Identifier: Apache-2.0

/**
 * Bureau's own agent as a program: what is written in its room, or typed on its terminal, is what it works on; its last
 * words of a turn are its answer. Its conversation is in a file of its home, so that it goes on where it was killed.
 * docs/guide/native-agent.md.
 */
import type { AgentEvent } from "../../src/agent/event.ts";
import { createGate } from "../../src/agent/approval/gate.ts";
import { createModelClient } from "../../src/agent/model/mod.ts";
import type { McpTools } from "../../src/agent/native/mcp.ts";
import { systemPrompt } from "../../src/agent/native/prompt.ts";
import {
  builtinTools,
  findSkills,
  skillTool,
  type Tool,
  ToolBox,
} from "../../src/agent/tools/mod.ts";
import { BureauError, messageOf } from "../../src/lib/errors.ts";
import { createProxyClient, type ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { VERSION } from "../../src/lib/version.ts";
import type { Message } from "../driver/room.ts";
import { Rooms } from "../driver/rooms.ts";
import { HOW_TO_ASK, INTERRUPT, isInterrupt } from "../driver/talk.ts";
import { bureauTools } from "./bureau.ts";
import { type Config, readConfig } from "./config.ts";
import { Desk } from "./desk.ts";
import { show, showEvent } from "./screen.ts";

const SOCKET = "/run/bureau/agent/proxy.sock";
const PAYLOAD = "/run/bureau/payload.json";
const WORKSPACE = "/workspace";
const SESSION = "/home/agent/.bureau/native.jsonl";

try {
  await main();
} catch (thrown) {
  show(`error: ${messageOf(thrown)}`);
  if (thrown instanceof BureauError && thrown.hint !== undefined) show(`hint: ${thrown.hint}`);
  Deno.exit(1);
}

async function main(): Promise<void> {
  // Killed at any moment it loses nothing, so it ends at once.
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => Deno.exit(0));
  }
  const config = readConfig(await readPayload());
  const proxy = createProxyClient({ socket: SOCKET });
  const identity = await patiently("ask who I am", () => proxy.identity());
  const rooms = identity.room === null || identity.user_id === null
    ? null
    : new Rooms(proxy, identity.room, identity.user_id, { chain: config.agentChain });
  const desk = await Desk.open({
    agent: {
      client: createModelClient({
        protocol: config.protocol,
        // The service's upstream says where it is; the key is the proxy's.
        baseUrl: "",
        fetch: (path, init) => proxy.http(config.service, path, init),
      }),
      model: config.model,
      system: systemPrompt({
        workspace: WORKSPACE,
        name: identity.user_id ?? identity.principal,
        hasRoom: rooms !== null,
        instructions: rooms === null
          ? config.instructions
          : `${HOW_TO_ASK}\n\n${config.instructions}`.trim(),
      }),
      tools: await toolBox(config, proxy),
      limits: config.limits,
      maxTokens: config.maxTokens,
      ...(config.contextWindow === undefined ? {} : { contextWindow: config.contextWindow }),
      ...(config.effort === undefined ? {} : { effort: config.effort }),
    },
    sessionFile: SESSION,
    emit: (event) => {
      showEvent(event);
      attend(proxy, event);
    },
    answer: async (message, text) => {
      await patiently("answer", () => rooms!.answer(message, text));
    },
  });
  // An end that was sent to its terminal's keyboard stops what it does, and no more.
  Deno.addSignalListener("SIGINT", () => desk.interrupt());
  show(`${config.model} for ${identity.user_id ?? identity.principal}`);
  void typed(desk).catch((thrown) => show(messageOf(thrown)));
  if (rooms === null) show("no room was given; what is typed here is all that comes");
  else await listening(rooms, desk);
  await desk.work(new AbortController().signal);
}

async function toolBox(config: Config, proxy: ProxyClient): Promise<ToolBox> {
  const skills = await findSkills(config.skillsDir);
  const tools: Tool[] = [...builtinTools, ...(skills.length === 0 ? [] : [skillTool(skills)])];
  if (config.mcp.length > 0) {
    // Beside this file, as source and as bundle.
    const module = import.meta.url.replace(/native\.([jt]s)$/, "mcp.$1");
    const { connectMcp } = await import(module) as typeof import("./mcp.ts");
    const mcp: McpTools = await connectMcp(config.mcp, { workspace: WORKSPACE, version: VERSION });
    for (const { server, why } of mcp.missing) show(`! without the MCP server "${server}": ${why}`);
    tools.push(...mcp.tools);
  }
  const gate = createGate({
    enforce_permissions: true,
    host: (call, signal) => proxy.approval(call, { signal }),
    onWaiting: (call) => {
      if (call !== null) show(`? ${call.tool} ${call.resource}`);
    },
  });
  return new ToolBox({
    tools,
    passing: await bureauTools(proxy, new AbortController().signal),
    disabled: config.disabledTools,
    workspace: WORKSPACE,
    ...(config.isGated ? { gate } : {}),
  });
}

/** Resolves when what was written before is on the desk; goes on listening. */
async function listening(rooms: Rooms, desk: Desk): Promise<void> {
  const look = async (room?: string) => {
    const found = await patiently("read the room", () => rooms.unanswered(room));
    const isStop = ({ text }: Message) => isInterrupt(text);
    // Its answer is the turn's.
    if (found.some(isStop)) desk.interrupt();
    desk.add(
      ...found.filter((message) => !isStop(message))
        .map((message) => ({ message, text: `${message.sender}: ${message.text}` })),
    );
  };
  const ready = Promise.withResolvers<void>();
  const follow = async () => {
    // Position first, history second: what comes in between is found by the next look.
    const events = rooms.proxy.matrix.events({
      types: ["m.room.message"],
      own: false,
      signal: new AbortController().signal,
    });
    for await (const event of events) {
      if (event.kind === "event" || event.kind === "gap") await look(event.room);
      else if (event.kind === "open" || event.kind === "reset") await look();
      if (event.kind === "open") show(`listening in ${rooms.own}; ${INTERRUPT} stops what I do`);
      ready.resolve();
    }
  };
  void follow().catch((thrown) => {
    show(`the room is lost: ${messageOf(thrown)}`);
    Deno.exit(1);
  });
  await ready.promise;
}

async function typed(desk: Desk): Promise<void> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of Deno.stdin.readable) {
    pending += decoder.decode(chunk, { stream: true });
    const lines = pending.split(/\r?\n|\r/);
    pending = lines.pop()!.slice(0, 64 * 1024);
    for (const text of lines.filter((line) => line.trim() !== "")) {
      if (isInterrupt(text)) desk.interrupt();
      else desk.add({ message: null, text });
    }
  }
}

/** Its own word counts more than what its terminal looks like. */
function attend(proxy: ProxyClient, event: AgentEvent): void {
  if (event.type !== "state") return;
  const { state, message = "" } = event;
  const said = state === "working" ? "working" : state === "failed" ? "waiting" : "idle";
  void proxy.setAttention(said, message === "" ? undefined : message.slice(0, 200)).catch(() => {});
}

async function readPayload(): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await Deno.readTextFile(PAYLOAD));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return {};
    throw thrown;
  }
}

/** A proxy that is being replaced is back within seconds; a refusal is for good. */
async function patiently<T>(what: string, act: () => Promise<T>): Promise<T> {
  for (let pause = 500;; pause = Math.min(2 * pause, 5_000)) {
    try {
      return await act();
    } catch (thrown) {
      const { isPassing = true } = thrown as { isPassing?: boolean };
      if (!isPassing) throw thrown;
      show(`cannot ${what} yet: ${messageOf(thrown)}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
