// SPDX-License-Identifier: Apache-2.0

/**
 * What every driver does alike: runs the program, reads its lines, gives it one message at a time and what steers the
 * turn that goes on, and sees to it that each message has its end, whatever becomes of the program.
 */
import { messageOf } from "../../lib/errors.ts";
import type { AgentEvent } from "../event.ts";
import type { DriverSession, SendOptions, StartOptions } from "./driver.ts";
import { DriverError } from "./errors.ts";
import { type Line, readLines } from "./lines.ts";
import { Queue } from "./queue.ts";

/** What a driver makes of its program; it tells by what it is given. */
export interface Protocol {
  /** What the program is told first, once it runs. */
  begin?(): void;
  /** A whole line of its output. */
  line(text: string): void;
  /**
   * The program shall work on this; nothing else is going on.
   * @param key a UUID
   */
  turn(text: string, key: string): void;
  /**
   * This is for the turn that goes on; `steered` says what became of it. What the program has, and its agent not by the
   * end of that turn, the program begins another with by itself. Absent: it can take nothing.
   */
  steer?(text: string, key: string): void;
  interrupt(): void;
  /** The program has ended. */
  stop?(): void;
}

/** What a protocol has to tell with. */
export interface Told {
  /** One line to the program. */
  write(line: string): void;
  event(...events: readonly AgentEvent[]): void;
  /** The agent has it now; or the program will not give it to the agent, so it waits for the turn's end. */
  steered(key: string, how: "taken" | "refused"): void;
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

interface Message extends SendOptions {
  readonly text: string;
  readonly key: string;
  /** Its place among all. */
  readonly at: number;
}

const GRACE_MS = 5_000;
const encoder = new TextEncoder();

export function startProgram(
  options: ProgramOptions,
  protocolOf: (told: Told) => Protocol,
): DriverSession {
  const events = new Queue<AgentEvent>();
  const waiting: Message[] = [];
  /** The program has these, its agent not yet. */
  const steering = new Map<string, Message>();
  let sent = 0;
  let isWorking = false;
  let isReady = false;
  let closing: Promise<void> | null = null;
  let hasEnded = false;
  let failure: string | null = null;

  const child = spawn(options);
  const stdin = child.stdin.getWriter();
  const write = (text: string) => void stdin.write(encoder.encode(`${text}\n`)).catch(() => {});

  const begin = () => {
    if (isWorking) return;
    isWorking = true;
    events.push({ type: "state", state: "working" });
  };
  const prompt = ({ text, id }: Message) =>
    events.push({ type: "prompt", text, ...(id === undefined ? {} : { id }) });
  const next = () => {
    // Of what it has, the program makes the next turn by itself.
    if (isWorking || steering.size > 0 || !isReady || hasEnded || closing !== null) return;
    const message = waiting.shift();
    if (message === undefined) return;
    begin();
    prompt(message);
    protocol.turn(message.text, message.key);
  };
  const idle = () => {
    if (waiting.length + steering.size === 0) events.push({ type: "state", state: "idle" });
  };
  const told: Told = {
    write,
    event: (...told) => events.push(...told),
    steered: (key, how) => {
      const message = steering.get(key);
      if (message === undefined) return;
      steering.delete(key);
      if (how === "taken") {
        begin();
        prompt(message);
      } else {
        waiting.push(message);
        waiting.sort((one, other) => one.at - other.at);
        next();
      }
    },
    end: (end) => {
      if (!isWorking) return;
      isWorking = false;
      events.push({ type: "end", ...end });
      idle();
      next();
    },
    ready: () => {
      isReady = true;
      idle();
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
    const open = waiting.splice(0).length + steering.size + (isWorking ? 1 : 0);
    steering.clear();
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
    send: (text, how = {}) => {
      if (hasEnded || closing !== null) {
        throw new DriverError("ended", `Cannot send to "${options.command[0]}": it has ended`, {
          hint: "start it again, with its session's id to go on where it was",
        });
      }
      const message = { ...how, text, key: crypto.randomUUID(), at: sent++ };
      if (how.steers === true && isWorking && protocol.steer !== undefined) {
        steering.set(message.key, message);
        protocol.steer(text, message.key);
        return;
      }
      waiting.push(message);
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
