// SPDX-License-Identifier: Apache-2.0

/**
 * The program of the agents that drive somebody else's: what is written in its room, or typed on its terminal, goes to
 * Claude Code or Codex, one message at a time; what that answers comes back. Everything outlives a restart.
 *
 *   driver.js claude|codex PROGRAM…
 */
import { messageOf } from "../../src/lib/errors.ts";
import { CLAUDE_ENVIRONMENT, DRIVERS } from "../../src/agent/driver/mod.ts";
import { readLines } from "../../src/agent/driver/lines.ts";
import { createProxyClient } from "../../src/lib/proxyclient/mod.ts";
import type { Message } from "./room.ts";
import { Rooms } from "./rooms.ts";
import { CHAIN_LENGTH, HOW_TO_ASK, INTERRUPT, isInterrupt } from "./talk.ts";
import { Leave } from "./leave.ts";
import { prepare } from "./prepare.ts";
import { StateFile } from "./state.ts";
import { say } from "./terminal.ts";
import { type End, Worker } from "./worker.ts";

const PAYLOAD = "/run/bureau/payload.json";

/** Where a message came from, and where its answer goes. */
interface Task {
  readonly message: Message | null;
  readonly text: string;
}

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
const identity = await patiently("ask who I am", () => proxy.identity());
const state = await StateFile.open(`${home}/bureau/session.json`);
const chain = typeof payload["agent_chain"] === "number" ? payload["agent_chain"] : CHAIN_LENGTH;
const rooms = identity.room === null || identity.user_id === null
  ? null
  : new Rooms(proxy, identity.room, identity.user_id, { chain });

/** Its sandbox is its wall; who wants to be asked besides says so. */
const leave = payload["enforce_permissions"] === true ? new Leave(proxy) : null;

const tasks: Task[] = [];
let wake = Promise.withResolvers<void>();
let stopping: Promise<void> | null = null;
const stopped = new AbortController();

const worker = new Worker({
  driver,
  command: command as [string, ...string[]],
  cwd: workspace,
  env: { ...environment, ...(name === "claude" ? CLAUDE_ENVIRONMENT : {}) },
  ...(typeof payload["model"] === "string" ? { model: payload["model"] } : {}),
  instructions: instructions(),
  ...(leave === null ? {} : { approve: leave.approve }),
  state,
  onState: (event) => {
    const said = event.state === "working"
      ? "working"
      : event.state === "waiting-input" || event.state === "waiting-approval"
      ? "waiting"
      : "idle";
    void proxy.setAttention(said, event.message?.slice(0, 200)).catch(() => {});
  },
});

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  Deno.addSignalListener(signal, () => {
    stopping ??= stop();
  });
}
say(`${name} for ${identity.user_id ?? identity.principal}`);
void typed().catch((thrown) => say(messageOf(thrown)));
if (rooms === null) say("no room was given; what is typed here is all that comes");
else void listen(rooms).catch((thrown) => say(`the room is lost: ${messageOf(thrown)}`));
await work();

async function work(): Promise<void> {
  while (stopping === null) {
    const task = tasks.shift();
    if (task === undefined) {
      await wake.promise;
      wake = Promise.withResolvers();
      continue;
    }
    const { message, text } = task;
    if (message === null) {
      await worker.ask(text);
      continue;
    }
    const isAgain = state.now.given === message.id;
    await state.change({ given: message.id });
    say(text);
    const end = await worker.ask(
      isAgain
        ? `You were started anew while you worked on the following message, and may have done a part of it. Go on.\n\n${text}`
        : text,
    );
    // Who was stopped in the middle goes on with it at the next start.
    if (stopping !== null) break;
    await patiently("answer", () => rooms!.answer(message, answerOf(end)));
    await state.change({ given: null });
  }
  await stopping;
}

function answerOf(end: End): string {
  switch (end.status) {
    case "completed":
      return end.result ?? "";
    case "cancelled":
      return `Stopped.${end.result === null || end.result === "" ? "" : `\n\n${end.result}`}`;
    case "error":
      return `I failed: ${end.error ?? "for an unknown reason"}`;
  }
}

function add(task: Task): void {
  if (isInterrupt(task.message?.text ?? task.text)) {
    // The turn's own answer says that it was stopped.
    leave?.cancel();
    worker.interrupt();
    return;
  }
  tasks.push(task);
  wake.resolve();
}

async function typed(): Promise<void> {
  for await (const { text } of readLines(Deno.stdin.readable, 64 * 1024)) {
    if (text.trim() !== "") add({ message: null, text });
  }
}

/** Position first, history second: what comes in between is found by the next look. */
async function listen(rooms: Rooms): Promise<void> {
  const look = async (room?: string) => {
    const found = await patiently("read the room", () => rooms.unanswered(room));
    for (const message of found) {
      add({ message, text: `${message.sender}: ${message.text}` });
    }
  };
  const events = proxy.matrix.events({
    types: ["m.room.message"],
    own: false,
    signal: stopped.signal,
  });
  for await (const event of events) {
    if (event.kind === "open") {
      await look();
      say(`listening in ${rooms.own}; ${INTERRUPT} stops what I do`);
    } else if (event.kind === "event" || event.kind === "gap") await look(event.room);
    else if (event.kind === "reset") await look();
  }
}

async function stop(): Promise<void> {
  say("stopping");
  stopped.abort();
  await worker.stop();
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

/** A proxy that is being replaced is back within seconds; a refusal is for good. */
async function patiently<T>(what: string, act: () => Promise<T>): Promise<T> {
  for (let pause = 500;; pause = Math.min(2 * pause, 5_000)) {
    try {
      return await act();
    } catch (thrown) {
      const status = (thrown as { status?: number }).status ?? 500;
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) throw thrown;
      say(`cannot ${what} yet: ${messageOf(thrown)}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
