// SPDX-License-Identifier: Apache-2.0

/** `observe`: this terminal becomes a window on the agent's, until ctrl-] or its end. */
import { OBSERVE_PROTOCOL, ObserveDown } from "../../observe/api.ts";
import * as z from "zod/mini";
import { systemClock } from "../../lib/clock.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";

/** ctrl-], as telnet has it. */
const LEAVE = 0x1d;
/** A dump is what the terminal shows once it has been quiet for so long. */
const DUMP_QUIET_MS = 250;
const DUMP_DEADLINE_MS = 5_000;

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
    const readOnly = dump || call.flags["read-only"] === true;
    const size = dump ? { columns: 120, rows: 40 } : Deno.consoleSize();
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
    await opened(socket, principal);
    return dump ? await dumpScreen(call, socket) : await attach(call, socket, principal);
  } finally {
    daemon.close();
  }
};

async function opened(socket: WebSocket, principal: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => resolve();
    socket.onerror = () =>
      reject(
        new CliError(
          "refused",
          `Cannot observe "${principal}": the daemon refused the connection`,
          {
            hint: "`bureau status` shows whether daemon and launcher run",
          },
        ),
      );
  });
}

/** The frames that are JSON; anything else from the daemon is a newer release's and is skipped. */
function control(data: unknown): ObserveDown | null {
  if (typeof data !== "string") return null;
  try {
    const parsed = z.safeParse(ObserveDown, JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

async function attach(call: Invocation, socket: WebSocket, principal: string): Promise<unknown> {
  const ended = Promise.withResolvers<string>();
  socket.onmessage = (event) => {
    const frame = control(event.data);
    if (frame === null) {
      if (event.data instanceof ArrayBuffer) writeAll(new Uint8Array(event.data));
    } else if (frame.type === "exit") ended.resolve(frame.reason);
    else if (frame.mode === "readonly" && call.flags["read-only"] !== true) {
      writeAll(encode("(read-only: you may watch, not type)\r\n"));
    }
  };
  socket.onclose = () => ended.resolve("the connection ended");
  call.signal.addEventListener("abort", () => ended.resolve("interrupted"), { once: true });
  const resize = () => {
    const { columns, rows } = Deno.consoleSize();
    if (socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({ type: "resize", cols: columns, rows }));
    }
  };
  Deno.addSignalListener("SIGWINCH", resize);
  console.error(`observing ${principal}; ctrl-] leaves`);
  Deno.stdin.setRaw(true);
  try {
    forwardKeys(socket, ended.resolve);
    const reason = await ended.promise;
    return reason;
  } finally {
    Deno.stdin.setRaw(false);
    Deno.removeSignalListener("SIGWINCH", resize);
    if (socket.readyState === WebSocket.OPEN) socket.close();
    // Out of the alternate screen, cursor shown, colours and mouse off: whatever the agent left.
    writeAll(encode("\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1006l\x1b[?2004l\x1b[0m\r\n"));
    console.error(`left ${principal}: ${await ended.promise}`);
  }
}

async function forwardKeys(socket: WebSocket, leave: (reason: string) => void): Promise<void> {
  const buffer = new Uint8Array(4096);
  while (true) {
    const count = await Deno.stdin.read(buffer).catch(() => null);
    if (count === null) return leave("this terminal closed");
    const typed = buffer.slice(0, count);
    const at = typed.indexOf(LEAVE);
    if (socket.readyState === WebSocket.OPEN) socket.send(at < 0 ? typed : typed.slice(0, at));
    if (at >= 0) return leave("ctrl-]");
  }
}

async function dumpScreen(call: Invocation, socket: WebSocket): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let last = systemClock.now();
  let done = false;
  socket.onmessage = (event) => {
    if (event.data instanceof ArrayBuffer) {
      chunks.push(new Uint8Array(event.data));
      last = systemClock.now();
    } else if (control(event.data)?.type === "exit") done = true;
  };
  socket.onclose = () => done = true;
  const deadline = systemClock.now() + DUMP_DEADLINE_MS;
  while (!done && systemClock.now() < deadline && !call.signal.aborted) {
    if (chunks.length > 0 && systemClock.now() - last > DUMP_QUIET_MS) break;
    await systemClock.sleep(20);
  }
  socket.close();
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  const lines = renderScreen(new TextDecoder().decode(bytes));
  for (const line of lines) call.print(line);
  return { lines };
}

/**
 * The text lines of a screen that a terminal program just drew: positions are followed, colours and
 * modes dropped. Enough for what tmux sends on attaching, which draws each line once.
 */
export function renderScreen(text: string): string[] {
  const rows: string[][] = [[]];
  let row = 0;
  let column = 0;
  // deno-lint-ignore no-control-regex -- escape sequences are what is read
  const token =
    /\x1b\[([?>=]?)([\d;]*)([ -/]*)([@-~])|\x1b[ -/]*[0-~]|([\x00-\x1f\x7f])|([^\x00-\x1f\x7f])/gsu;
  for (const match of text.matchAll(token)) {
    const [, , parameters = "", , final, single, character] = match;
    const numbers = parameters.split(";").map((part) => Number(part) || 0);
    if (character !== undefined) {
      while (rows.length <= row) rows.push([]);
      const line = rows[row]!;
      while (line.length < column) line.push(" ");
      line[column++] = character;
    } else if (single === "\n") row++;
    else if (single === "\r") column = 0;
    else if (single === "\b") column = Math.max(0, column - 1);
    else if (final === "H" || final === "f") {
      row = Math.max(0, (numbers[0] || 1) - 1);
      column = Math.max(0, (numbers[1] || 1) - 1);
    } else if (final === "A") row = Math.max(0, row - (numbers[0] || 1));
    else if (final === "B") row += numbers[0] || 1;
    else if (final === "C") column += numbers[0] || 1;
    else if (final === "D") column = Math.max(0, column - (numbers[0] || 1));
    else if (final === "G") column = Math.max(0, (numbers[0] || 1) - 1);
    else if (final === "d") row = Math.max(0, (numbers[0] || 1) - 1);
    else if (final === "J" && (numbers[0] ?? 0) === 2) rows.splice(0, rows.length, []);
    else if (final === "K" && (numbers[0] ?? 0) === 0) rows[row]?.splice(column);
  }
  const lines = rows.map((line) => Array.from(line, (cell) => cell ?? " ").join("").trimEnd());
  while (lines.length > 0 && lines.at(-1) === "") lines.pop();
  return lines;
}

const encode = (text: string) => new TextEncoder().encode(text);

function writeAll(bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
