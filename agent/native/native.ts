// SPDX-License-Identifier: Apache-2.0

/**
 * Bureau's own agent as a program: what is written in its room, or typed on its terminal, is what it works on; its last
 * words of a turn are its answer. Its conversation is in a file of its home, so that it goes on where it was killed.
 * docs/guide/native-agent.md.
 */
import { createGate } from "../../src/agent/approval/gate.ts";
import { createModelClient } from "../../src/agent/model/mod.ts";
import { Recorder } from "../../src/agent/recorder/mod.ts";
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
import { Rooms } from "../room/rooms.ts";
import { HOW_TO_ASK } from "../room/talk.ts";
import { listen } from "../room/listen.ts";
import { patiently } from "../room/patiently.ts";
import { Progress } from "../room/progress.ts";
import { Pump } from "../room/pump.ts";
import { Status } from "../room/status.ts";
import { typed } from "../room/typed.ts";
import { bureauTools } from "./bureau.ts";
import { type Config, readConfig } from "./config.ts";
import { NativeEngine } from "./engine.ts";
import { show, showEvent } from "./screen.ts";

const SOCKET = "/run/bureau/agent/proxy.sock";
const PAYLOAD = "/run/bureau/payload.json";
const WORKSPACE = "/workspace";
/** So long others may take, who are ending, too. */
const END_MS = 1_000;
const SESSION = "/home/agent/.bureau/native.jsonl";

try {
  await main();
} catch (thrown) {
  show(`error: ${messageOf(thrown)}`);
  if (thrown instanceof BureauError && thrown.hint !== undefined) show(`hint: ${thrown.hint}`);
  Deno.exit(1);
}

async function main(): Promise<void> {
  const payload = await readPayload();
  const config = readConfig(payload);
  const proxy = createProxyClient({ socket: SOCKET });
  const identity = await patiently("ask who I am", () => proxy.identity(), show);
  const rooms = identity.room === null || identity.user_id === null
    ? null
    : new Rooms(proxy, identity.room, identity.user_id, { chain: config.agentChain });
  const status = new Status({ proxy, rooms });
  const recorder = new Recorder({ program: "native", say: show });
  // Killed at any moment it loses nothing, so it ends as soon as others know.
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      setTimeout(() => Deno.exit(0), END_MS);
      void Promise.all([status.end(), recorder.close(END_MS)]).then(() => Deno.exit(0));
    });
  }
  const workers = config.hasWorkers
    ? await beside<typeof import("./spawn.ts")>("spawn").then(({ workersOf }) =>
      workersOf({
        ...{ config, mcp: payload["mcp_servers"], workspace: WORKSPACE, proxy },
        spend: (...spent) => engine.spend(...spent),
      })
    )
    : null;
  const engine = await NativeEngine.open({
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
      tools: await toolBox(config, proxy, status, workers === null ? [] : [workers.tool]),
      limits: config.limits,
      maxTokens: config.maxTokens,
      ...(config.contextWindow === undefined ? {} : { contextWindow: config.contextWindow }),
      ...(config.effort === undefined ? {} : { effort: config.effort }),
    },
    sessionFile: SESSION,
    recorder,
    emit: (event) => {
      if (event.type === "session") workers?.begin();
      showEvent(event);
      status.tell(event);
      progress?.tell(event);
    },
  });
  const pump = new Pump({
    engine,
    steering: config.manners.steering,
    answer: (...answer) => patiently("answer", () => rooms!.answer(...answer), show),
  });
  const progress = config.manners.progress === "none" ? null : new Progress({
    send: proxy.matrix.send,
    find: (id) => pump.find(id),
  });
  // An end that was sent to its terminal's keyboard stops what it does, and no more.
  Deno.addSignalListener("SIGINT", () => engine.interrupt());
  show(`${config.model} for ${identity.user_id ?? identity.principal}`);
  void typed((line) => pump.type(line)).catch((thrown) => show(messageOf(thrown)));
  if (rooms === null) show("no room was given; what is typed here is all that comes");
  else await listening(rooms, pump);
  await pump.work(new AbortController().signal);
}

/** What not every agent needs is a module of its own beside this file, as source and as bundle. */
async function beside<T>(name: string): Promise<T> {
  return await import(import.meta.url.replace(/native\.([jt]s)$/, `${name}.$1`));
}

async function toolBox(
  config: Config,
  proxy: ProxyClient,
  status: Status,
  more: readonly Tool[],
): Promise<ToolBox> {
  const skills = await findSkills(config.skillsDir);
  const tools: Tool[] = [
    ...builtinTools,
    ...more,
    ...(skills.length === 0 ? [] : [skillTool(skills)]),
  ];
  if (config.mcp.length > 0) {
    const { connectMcp } = await beside<typeof import("./mcp.ts")>("mcp");
    const mcp: McpTools = await connectMcp(config.mcp, { workspace: WORKSPACE, version: VERSION });
    for (const { server, why } of mcp.missing) show(`! without the MCP server "${server}": ${why}`);
    tools.push(...mcp.tools);
  }
  const gate = createGate({
    enforce_permissions: true,
    host: (call, signal) => proxy.approval(call, { signal }),
    onWaiting: (call) => {
      if (call === null) return status.tell({ type: "state", state: "working" });
      show(`? ${call.tool} ${call.resource}`);
      status.tell({ type: "state", state: "waiting-approval", message: call.tool });
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

/** Resolves when what was written before is heard; goes on listening. */
async function listening(rooms: Rooms, pump: Pump): Promise<void> {
  const ready = Promise.withResolvers<void>();
  void listen(rooms, {
    hear: (messages) => pump.hear(messages),
    tell: show,
    onReady: ready.resolve,
    signal: new AbortController().signal,
  }).catch((thrown) => {
    show(`the room is lost: ${messageOf(thrown)}`);
    Deno.exit(1);
  });
  await ready.promise;
}

async function readPayload(): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await Deno.readTextFile(PAYLOAD));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return {};
    throw thrown;
  }
}
