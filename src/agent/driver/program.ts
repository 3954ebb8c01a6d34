// SPDX-License-Identifier: Apache-2.0

/**
 * What every driver does alike: runs the program, reads its lines, gives it one message at a time, and sees to
 * it that each message has one end, whatever becomes of the program.
 */
import { messageOf } from "../../lib/errors.ts";
import type { AgentEvent } from "../event.ts";
import type { DriverSession, StartOptions } from "./driver.ts";
import { DriverError } from "./errors.ts";
import { type Line, readLines } from "./lines.ts";
import { Queue } from "./queue.ts";

/** What a driver makes of its program; it tells by what it is given. */
export interface Protocol {
  /** What the program is told first, once it runs. */
  begin?(): void;
  /** A whole line of its output. */
  line(text: string): void;
  /** The program shall work on this; nothing else is going on. */
  turn(text: string): void;
  interrupt(): void;
  /** The program has ended. */
  stop?(): void;
}

/** What a protocol has to tell with. */
export interface Told {
  /** One line to the program. */
  write(line: string): void;
  event(...events: readonly AgentEvent[]): void;
  /** The turn is over. Without one, or twice, it says nothing. */
  end(end: Omit<Extract<AgentEvent, { type: "end" }>, "type">): void;
  /** Messages may come now. Not before, where the program has to be prepared. */
  ready(): void;
  /** The program is of no more use. */
  fail(message: string): void;
}

export interface ProgramOptions extends StartOptions {
  readonly arguments: readonly string[];
}

const GRACE_MS = 5_000;
const encoder = new TextEncoder();

export function startProgram(
  options: ProgramOptions,
  protocolOf: (told: Told) => Protocol,
): DriverSession {
  const events = new Queue<AgentEvent>();
  const waiting: string[] = [];
  let isWorking = false;
  let isReady = false;
  let closing: Promise<void> | null = null;
  let hasEnded = false;
  let failure: string | null = null;

  const child = spawn(options);
  const stdin = child.stdin.getWriter();
  const write = (text: string) => void stdin.write(encoder.encode(`${text}\n`)).catch(() => {});

  const next = () => {
    if (isWorking || !isReady || hasEnded || closing !== null) return;
    const text = waiting.shift();
    if (text === undefined) return;
    isWorking = true;
    events.push({ type: "state", state: "working" });
    protocol.turn(text);
  };
  const told: Told = {
    write,
    event: (...told) => events.push(...told),
    end: (end) => {
      if (!isWorking) return;
      isWorking = false;
      events.push({ type: "end", ...end });
      if (waiting.length === 0) events.push({ type: "state", state: "idle" });
      next();
    },
    ready: () => {
      isReady = true;
      if (waiting.length === 0) events.push({ type: "state", state: "idle" });
      next();
    },
    fail: (message) => {
      failure ??= message;
      void session.close();
    },
  };
  const protocol = protocolOf(told);

  const gone = new AbortController();
  const read = async (stream: ReadableStream<Uint8Array>, each: (line: Line) => void) => {
    const cuttable = stream.pipeThrough(new TransformStream(), { signal: gone.signal });
    for await (const line of readLines(cuttable)) {
      each(line);
      await events.room();
    }
  };
  const finish = async () => {
    const reading = Promise.all([
      read(child.stdout, ({ text, isWhole }) => {
        if (isWhole) protocol.line(text);
        else events.push({ type: "output", text });
      }),
      read(child.stderr, ({ text }) => {
        if (text !== "") events.push({ type: "output", text });
      }),
    ]);
    const { code, signal } = await child.status;
    // What it started may hold its output open for ever.
    const timer = setTimeout(() => gone.abort(), GRACE_MS);
    await reading.catch((thrown) => {
      if (!gone.signal.aborted) throw thrown;
    });
    clearTimeout(timer);
    hasEnded = true;
    protocol.stop?.();
    await stdin.close().catch(() => {});
    const why = failure ??
      `the program ended ${signal === null ? `with status ${code}` : `by ${signal}`}`;
    const status = closing !== null && failure === null ? "cancelled" : "error";
    const open = waiting.splice(0).length + (isWorking ? 1 : 0);
    isWorking = false;
    if (status === "error" && (open > 0 || code !== 0 || failure !== null)) {
      events.push({ type: "error", message: why, is_retried: false });
    }
    for (let count = 0; count < open; count++) {
      events.push({ type: "end", status, result: null, error: status === "error" ? why : null });
    }
    if (status === "error") events.push({ type: "state", state: "failed", message: why });
    events.end();
  };
  const session: DriverSession = {
    events,
    send: (text) => {
      if (hasEnded || closing !== null) {
        throw new DriverError("ended", `Cannot send to "${options.command[0]}": it has ended`, {
          hint: "start it again, with its session's id to go on where it was",
        });
      }
      waiting.push(text);
      next();
    },
    interrupt: () => {
      if (isWorking && !hasEnded) protocol.interrupt();
    },
    close: (graceMs = GRACE_MS) => {
      events.widen();
      return closing ??= stop(child, stdin, graceMs, finished);
    },
  };
  protocol.begin?.();
  const finished = finish().catch((thrown) => {
    hasEnded = true;
    events.push({ type: "error", message: messageOf(thrown), is_retried: false });
    events.end();
  });
  return session;
}

function spawn(options: ProgramOptions): Deno.ChildProcess {
  const [program, ...before] = options.command;
  try {
    return new Deno.Command(program, {
      args: [...before, ...options.arguments],
      cwd: options.cwd,
      clearEnv: true,
      env: { ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (thrown) {
    throw new DriverError("no-program", `Cannot start "${program}": ${messageOf(thrown)}`, {
      hint: "is it installed? `bureau agent install` says what there is",
    });
  }
}

async function stop(
  child: Deno.ChildProcess,
  stdin: WritableStreamDefaultWriter<Uint8Array>,
  graceMs: number,
  finished: Promise<void>,
): Promise<void> {
  const kill = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
  };
  // One that reads no more would keep the end of its input waiting.
  void stdin.close().catch(() => {});
  const timers = [
    setTimeout(() => kill("SIGTERM"), graceMs),
    setTimeout(() => kill("SIGKILL"), 2 * graceMs),
  ];
  await child.status;
  for (const timer of timers) clearTimeout(timer);
  await finished;
}
