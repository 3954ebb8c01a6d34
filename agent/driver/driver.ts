// SPDX-License-Identifier: Apache-2.0

/**
 * The program of the agents that drive somebody else's: what is written in its room, or typed on its terminal, goes to
 * Claude Code or Codex; what that answers comes back. Everything outlives a restart.
 *
 *   driver.js claude|codex PROGRAM…
 */
import { BureauError, messageOf } from "../../src/lib/errors.ts";
import { CLAUDE_ENVIRONMENT, DRIVERS } from "../../src/agent/driver/mod.ts";
import { Recorder, TurnRecorder } from "../../src/agent/recorder/mod.ts";
import { createProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { listen } from "../room/listen.ts";
import { patiently } from "../room/patiently.ts";
import { type Manners, readManners } from "../room/payload.ts";
import { Progress } from "../room/progress.ts";
import { Pump } from "../room/pump.ts";
import { Status } from "../room/status.ts";
import { typed } from "../room/typed.ts";
import { Leave } from "./leave.ts";
import { prepare } from "./prepare.ts";
import { Rooms } from "../room/rooms.ts";
import { StateFile } from "./state.ts";
import { CHAIN_LENGTH, HOW_TO_ASK, INTERRUPT } from "../room/talk.ts";
import { render, say } from "./terminal.ts";
import { Worker } from "./worker.ts";

const PAYLOAD = "/run/bureau/payload.json";
/** To the agent service. */
const LAST_WORDS_MS = 1_000;

const [name = "", ...command] = Deno.args;
const driver = DRIVERS[name];
if (driver === undefined || command.length === 0) {
  console.error(
    `error: Cannot drive "${name}": give ${Object.keys(DRIVERS).join(" or ")}, and the program`,
  );
  Deno.exit(2);
}

const environment = Deno.env.toObject();
const home = environment["HOME"] ?? "/home/agent";
const workspace = environment["BUREAU_WORKSPACE"] ?? "/workspace";
const proxy = createProxyClient({
  socket: environment["BUREAU_PROXY_SOCKET"] ?? "/run/bureau/proxy.sock",
});
await prepare(name, environment["CLAUDE_CONFIG_DIR"] ?? `${home}/claude`, workspace);
const payload = await readPayload();
const manners = mannersOf(payload);
const identity = await patiently("ask who I am", () => proxy.identity(), say);
const state = await StateFile.open(`${home}/bureau/session.json`);
const chain = typeof payload["agent_chain"] === "number" ? payload["agent_chain"] : CHAIN_LENGTH;
const rooms = identity.room === null || identity.user_id === null
  ? null
  : new Rooms(proxy, identity.room, identity.user_id, { chain });

/** Its sandbox is its wall; who wants to be asked besides says so. */
const leave = payload["enforce_permissions"] === true ? new Leave(proxy) : null;

const recorder = new Recorder({ program: name, say });
const turns = new TurnRecorder(recorder);

let stopping: Promise<void> | null = null;
const stopped = new AbortController();

const status = new Status({ proxy, rooms });
const worker = new Worker({
  driver,
  command: command as [string, ...string[]],
  cwd: workspace,
  env: { ...environment, ...(name === "claude" ? CLAUDE_ENVIRONMENT : {}) },
  ...(typeof payload["model"] === "string" ? { model: payload["model"] } : {}),
  instructions: instructions(),
  ...(leave === null ? {} : { approve: leave.approve }),
  state,
  onInterrupt: () => leave?.cancel(),
  onEvent: (event) => {
    const line = render(event);
    if (line !== null) console.log(line);
    turns.event(event);
    status.tell(event);
    progress?.tell(event);
  },
});
const pump = new Pump({
  engine: worker,
  steering: manners.steering,
  answer: (...answer) => patiently("answer", () => rooms!.answer(...answer), say),
});

const progress = manners.progress === "none" ? null : new Progress({
  send: proxy.matrix.send,
  find: (id) => pump.find(id),
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => {
    stopping ??= stop();
  });
}
say(`${name} for ${identity.user_id ?? identity.principal}; ${INTERRUPT} stops what I do`);
void typed((line) => pump.type(line)).catch((thrown) => say(messageOf(thrown)));
if (rooms === null) say("no room was given; what is typed here is all that comes");
else {
  void listen(rooms, {
    hear: (messages) => pump.hear(messages),
    tell: say,
    signal: stopped.signal,
  }).catch((thrown) => say(`the room is lost: ${messageOf(thrown)}`));
}
await pump.work(stopped.signal);
await stopping;

async function stop(): Promise<void> {
  say("stopping");
  stopped.abort();
  await Promise.all([status.end(), worker.stop()]);
  await recorder.close(LAST_WORDS_MS);
  proxy[Symbol.dispose]();
  Deno.exit(0);
}

function instructions(): string {
  const own = payload["instructions"];
  return [
    "You run in a Bureau sandbox. Its walls are your limits: do what is asked without asking back for permission.",
    rooms === null
      ? ""
      : "Messages come from a Matrix room, each with its sender first; your last words of each turn are the answer there.",
    rooms === null ? "" : HOW_TO_ASK,
    typeof own === "string" ? own : "",
  ].filter((line) => line !== "").join("\n");
}

async function readPayload(): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await Deno.readTextFile(PAYLOAD));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return {};
    say(`the payload cannot be read: ${messageOf(thrown)}`);
    return {};
  }
}

function mannersOf(payload: Record<string, unknown>): Manners {
  try {
    return readManners(payload);
  } catch (thrown) {
    say(`error: ${messageOf(thrown)}`);
    if (thrown instanceof BureauError && thrown.hint !== undefined) say(`hint: ${thrown.hint}`);
    Deno.exit(1);
  }
}
