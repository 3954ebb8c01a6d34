// SPDX-License-Identifier: Apache-2.0

/** This terminal as a window on another: raw while it lasts, and put back whatever happens. */
import { decodeFrame, encodeFrame, type ObserveDown } from "../../observe/api.ts";
import { neutraliseLine, RESET_TERMINAL, TerminalFilter } from "../../lib/terminal/mod.ts";
import { readControl } from "./frames.ts";
import type { Incoming } from "./incoming.ts";

/** ctrl-], as telnet has it. */
const LEAVE = 0x1d;
/** Output is acknowledged in steps of this many bytes: the relay then skips what this terminal can't keep up with. */
const ACK_BYTES = 16 * 1024;

export interface Attachment {
  readonly incoming: Incoming;
  /** Aborted on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  readonly readOnly: boolean;
}

/** @returns why it ended. The terminal is as it was, on every way out of here. */
export async function attachTerminal(attachment: Attachment): Promise<string> {
  const { incoming, signal, readOnly } = attachment;
  const { socket } = incoming;
  const ended = Promise.withResolvers<string>();
  const filter = new TerminalFilter();
  let drawn = 0;
  let acknowledged = 0;
  const send = (frame: unknown) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
  };
  const onFrame = (frame: ObserveDown) => {
    if (frame.type === "exit") ended.resolve(neutraliseLine(frame.reason));
    else if (frame.type === "metadata") {
      // From now on the relay holds back what this terminal has not drawn.
      send({ type: "ack", bytes: 0 });
      if (frame.mode === "readonly" && !readOnly) {
        writeAll(encode("(you may watch this agent, not type)\r\n"));
      }
      // Who comes alone comes to work: the session gets this terminal's size.
      if (frame.mode === "readwrite" && frame.writer === null) send({ type: "take" });
    } else if (frame.type === "mode" && frame.reason !== "you have the keyboard") {
      writeAll(encode(`(${neutraliseLine(frame.reason)})\r\n`));
    }
  };
  const onMessage = ({ data }: MessageEvent) => {
    try {
      if (data instanceof ArrayBuffer) {
        const frame = decodeFrame(data);
        if (frame === null) return;
        // The relay filters as well; what it says is not taken on trust.
        writeAll(filter.push(frame.bytes));
        drawn += frame.bytes.length;
        if (drawn - acknowledged >= ACK_BYTES || frame.bytes.length < ACK_BYTES) {
          acknowledged = drawn;
          send({ type: "ack", bytes: drawn });
        }
        return;
      }
      const frame = readControl(data);
      if (frame !== null) onFrame(frame);
    } catch (thrown) {
      // This terminal went away.
      ended.reject(thrown);
    }
  };
  const resize = () => {
    try {
      const { columns, rows } = Deno.consoleSize();
      send({ type: "resize", cols: columns, rows });
    } catch {
      // No terminal any more; reading it says so.
    }
  };
  const hangUp = () => ended.resolve("this terminal closed");
  const interrupted = () => ended.resolve("interrupted");
  incoming.ended.then(() => ended.resolve("the connection ended"));
  signal.addEventListener("abort", interrupted, { once: true });
  Deno.addSignalListener("SIGHUP", hangUp);
  Deno.addSignalListener("SIGWINCH", resize);
  Deno.stdin.setRaw(true);
  try {
    incoming.receive(onMessage);
    forwardKeys(socket, ended.resolve).catch(ended.reject);
    return await ended.promise;
  } finally {
    incoming.stop();
    Deno.removeSignalListener("SIGWINCH", resize);
    Deno.removeSignalListener("SIGHUP", hangUp);
    signal.removeEventListener("abort", interrupted);
    try {
      Deno.stdin.setRaw(false);
      writeAll(encode(`${RESET_TERMINAL}\r\n`));
    } catch {
      // Nothing to put back: the terminal is gone.
    }
    if (socket.readyState === WebSocket.OPEN) socket.close();
  }
}

async function forwardKeys(socket: WebSocket, leave: (reason: string) => void): Promise<void> {
  const buffer = new Uint8Array(4096);
  while (true) {
    const count = await Deno.stdin.read(buffer);
    if (count === null) return leave("this terminal closed");
    const at = buffer.subarray(0, count).indexOf(LEAVE);
    const typed = buffer.slice(0, at < 0 ? count : at);
    if (typed.length > 0 && socket.readyState === WebSocket.OPEN) {
      socket.send(encodeFrame({ kind: "input", bytes: typed }));
    }
    if (at >= 0) return leave("you left with ctrl-]");
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

function writeAll(bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
