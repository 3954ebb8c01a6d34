// SPDX-License-Identifier: Apache-2.0

/** `observe`: this terminal becomes a window on the agent's, until ctrl-] or its end. */
import { systemClock } from "../../lib/clock.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { OBSERVE_PROTOCOL } from "../../observe/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { attachTerminal } from "./attach.ts";
import { readControl } from "./frames.ts";
import { Incoming } from "./incoming.ts";

/** How long the relay may take for one screen. */
const DUMP_DEADLINE_MS = 20_000;
const CONNECT_ATTEMPTS = 5;
const CONNECT_PAUSE_MS = 400;

export const observe: CommandHandler = async (call) => {
  const dump = call.flags["dump"] === true;
  if (!dump && (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal())) {
    throw new CliError("usage", "Cannot observe: this is not a terminal", {
      hint: "use --dump to print the screen once",
    });
  }
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const daemon = daemonClient(call, session);
  try {
    // A plain request first: its error says why, where a refused WebSocket says nothing.
    const view = await daemon.call("show", { params: { principal }, signal: call.signal });
    if (view.phase !== "running") {
      throw new CliError("not-observable", `Cannot observe "${principal}": it is ${view.phase}`, {
        hint: view.hint ?? "`bureau agent show` says more",
      });
    }
    if (view.frozen === true) {
      throw new CliError(
        "frozen",
        `Cannot observe "${principal}": it is frozen, its terminal too`,
        {
          hint: "`bureau agent thaw` lets it go on",
        },
      );
    }
    const readOnly = dump || call.flags["read-only"] === true;
    const size = dump ? { columns: 80, rows: 24 } : Deno.consoleSize();
    const connect = () => {
      const socket = daemon.websocket("observe", {
        params: { principal },
        query: {
          mode: readOnly ? "readonly" : "readwrite",
          cols: String(size.columns),
          rows: String(size.rows),
        },
        protocol: OBSERVE_PROTOCOL,
      });
      socket.binaryType = "arraybuffer";
      return new Incoming(socket);
    };
    const incoming = await connectPatiently(connect, principal, call.signal);
    if (dump) return await dumpScreen(call, incoming, principal);
    console.error(`observing ${principal}; ctrl-] leaves`);
    const reason = await attachTerminal({ incoming, signal: call.signal, readOnly });
    console.error(`left ${principal}: ${reason}`);
    return { principal, reason };
  } finally {
    daemon.close();
  }
};

/**
 * A relay that just ended, or is still being made on a busy machine, is there a moment later; a refusal
 * by right comes again.
 */
async function connectPatiently(
  connect: () => Incoming,
  principal: string,
  signal: AbortSignal,
): Promise<Incoming> {
  for (let attempt = 1;; attempt++) {
    const incoming = connect();
    try {
      await opened(incoming.socket, principal);
      return incoming;
    } catch (thrown) {
      if (attempt >= CONNECT_ATTEMPTS) throw thrown;
      await systemClock.sleep(CONNECT_PAUSE_MS, signal);
    }
  }
}

async function opened(socket: WebSocket, principal: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () =>
      reject(
        new CliError(
          "refused",
          `Cannot observe "${principal}": the daemon refused the connection`,
          { hint: "`bureau status` shows whether daemon and launcher run" },
        ),
      );
  });
}

async function dumpScreen(call: Invocation, incoming: Incoming, principal: string) {
  const { socket } = incoming;
  const answer = Promise.withResolvers<string[]>();
  const failed = (why: string) =>
    answer.reject(new CliError("no-screen", `Cannot observe "${principal}": ${why}`));
  incoming.receive(({ data }) => {
    const frame = readControl(data);
    if (frame?.type === "metadata") socket.send(JSON.stringify({ type: "screen" }));
    else if (frame?.type === "screen") answer.resolve(frame.lines);
    else if (frame?.type === "exit") failed(frame.reason);
  });
  incoming.ended.then(() => failed("the connection ended"));
  const deadline = AbortSignal.any([AbortSignal.timeout(DUMP_DEADLINE_MS), call.signal]);
  deadline.addEventListener("abort", () => failed("no answer in time"), { once: true });
  try {
    const lines = await answer.promise;
    while (lines.at(-1) === "") lines.pop();
    for (const line of lines) call.print(neutraliseLine(line));
    return { principal, lines };
  } finally {
    socket.close();
  }
}
