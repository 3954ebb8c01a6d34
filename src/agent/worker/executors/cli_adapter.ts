// SPDX-License-Identifier: Apache-2.0

/**
 * Any command-line agent as the engine: one process for each run, the assignment on its standard input, its lines as
 * events. Where its arguments ask for `stream-json` the lines are Claude Code's messages; else they are text.
 */
import { approvalBody, describedCall } from "../../approval/mod.ts";
import { type Clock, systemClock } from "../../../lib/clock.ts";
import { messageOf } from "../../../lib/errors.ts";
import type { AgentEvent } from "../../event.ts";
import { readLines } from "../../driver/lines.ts";
import { pathComponent, type ProvisionSpec } from "../../provision/mod.ts";
import { type Executor, ExecutorError, type RunContext } from "../executor.ts";

/** How long it may take to end itself once it was asked to. */
const GRACE_MS = 1_500;
/** Bytes of a line that becomes one event; a longer one comes in parts. */
const MAX_LINE = 4 * 1024 * 1024;
/** What is kept of the text for the result, and of stderr for the error. */
const MAX_RESULT = 1024 * 1024;
const MAX_COMPLAINT = 2_000;

type End = Omit<Extract<AgentEvent, { type: "end" }>, "type">;

/** What a reader of JSON lines tells by. */
export interface Told {
  /** One line to the program. */
  write(line: string): void;
  event(...events: readonly AgentEvent[]): void;
  steered(key: string, how: "taken" | "refused"): void;
  end(end: End): void;
  ready(): void;
  fail(why: string): void;
}

export interface Asked {
  readonly tool: string;
  readonly input: unknown;
  readonly reason: string | null;
}

/** Makes sense of a program's JSON lines; one for each run. */
export interface JsonLines {
  /** The program shall work on this. */
  turn(text: string): void;
  line(text: string): void;
}

export interface CliOptions {
  readonly clock?: Clock;
  /** Of the sandbox around the worker; HOME and TMPDIR are the run's own all the same. */
  readonly environment?: Readonly<Record<string, string>>;
  /** For programs whose arguments ask for `stream-json`; absent: they are refused. */
  readonly jsonLines?: (
    told: Told,
    options: { approve(request: Asked): Promise<boolean> },
  ) => JsonLines;
}

/** @throws {ExecutorError} when the spec asks for another executor */
export function cliAdapter(spec: ProvisionSpec, options: CliOptions = {}): Executor {
  const { executor } = spec;
  if (executor.kind !== "cli_adapter") {
    throw new ExecutorError("no-executor", "Cannot make a cli_adapter: the spec has no command");
  }
  const { command, args } = executor;
  if (command === "") {
    throw new ExecutorError("no-command", "Cannot make a cli_adapter: its command is empty", {
      status: 400,
    });
  }
  if ((usesJson(args, "input") || usesJson(args, "output")) && options.jsonLines === undefined) {
    throw new ExecutorError(
      "no-stream-json",
      "Cannot make a cli_adapter: this worker does not read stream-json",
      { hint: "have the program write plain text", status: 501 },
    );
  }
  return {
    // What another's program does, nobody here can say; its rounds are counted where it tells them.
    enforces: usesJson(args, "output") ? ["max_rounds"] : [],
    run: (context) =>
      inOwnHome(
        spec,
        context,
        (home) => new Program(command, args, home, spec, options).run(context),
      ),
    close: async () => {
      if (spec.storage_dir === undefined) await remove(await storageOf(spec));
    },
  };
}

const NONE: JsonLines = { turn: () => {}, line: () => {} };

/** Runs share a workspace, and nothing else that a program writes. */
async function inOwnHome(
  spec: ProvisionSpec,
  { runId }: RunContext,
  run: (home: string) => Promise<string>,
): Promise<string> {
  const home = `${await storageOf(spec)}/${runId}`;
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  try {
    return await run(home);
  } finally {
    await remove(home);
  }
}

/** Where the parent chose none: beside the worker's record, which nobody else may read. */
async function storageOf({ storage_dir, fabric_dir, identity }: ProvisionSpec): Promise<string> {
  return storage_dir ?? `${fabric_dir}/${await pathComponent(identity.child_id)}.d`;
}

async function remove(dir: string): Promise<void> {
  await Deno.remove(dir, { recursive: true }).catch(() => {});
}

/** `--output-format stream-json`, `--output-format=stream-json`. */
function usesJson(args: readonly string[], side: "input" | "output"): boolean {
  const flag = `--${side}-format`;
  const at = args.indexOf(flag);
  return args.includes(`${flag}=stream-json`) || (at !== -1 && args[at + 1] === "stream-json");
}

class Program {
  readonly #jsonIn: boolean;
  readonly #jsonOut: boolean;
  readonly #events: AgentEvent[] = [];
  #end: End | null = null;
  #rounds = 0;
  #failure: string | null = null;

  constructor(
    private readonly command: string,
    private readonly args: readonly string[],
    private readonly home: string,
    private readonly spec: ProvisionSpec,
    private readonly options: CliOptions,
  ) {
    this.#jsonIn = usesJson(args, "input");
    this.#jsonOut = usesJson(args, "output");
  }

  async run(context: RunContext): Promise<string> {
    const child = this.#start();
    const over = new AbortController();
    const onAbort = () => void this.#stop(child, over.signal);
    context.signal.addEventListener("abort", onAbort, { once: true });
    if (context.signal.aborted) onAbort();
    const input = child.stdin.getWriter();
    const write = (text: string) =>
      void input.write(new TextEncoder().encode(text)).catch(() => {});
    const protocol = this.#protocol(context, write);
    const complaint = this.#complaint(child.stderr);
    // What it left running may hold its output open for ever.
    void child.status.then(() => killGroup(child.pid));
    try {
      if (this.#jsonIn) protocol.turn(context.assignment);
      else {
        write(context.assignment);
        void input.close().catch(() => {});
      }
      if (this.#jsonIn) void this.#follow(context, over.signal, write);
      const text = await this.#read(child, context, protocol, input);
      const { code, signal } = await child.status;
      return this.#result(context, text, { code, signal, complaint: await complaint });
    } finally {
      over.abort();
      context.signal.removeEventListener("abort", onAbort);
      // What it started and left behind goes with it.
      killGroup(child.pid);
      await input.abort().catch(() => {});
    }
  }

  #start(): Deno.ChildProcess {
    try {
      return new Deno.Command(this.command, {
        args: [...this.args],
        cwd: this.spec.workspace ?? this.home,
        clearEnv: true,
        env: environmentIn(this.home, this.options.environment),
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        // A group of its own, so that all of it can be ended.
        detached: true,
      }).spawn();
    } catch (thrown) {
      throw new ExecutorError(
        "no-program",
        `Cannot start "${this.command}": ${messageOf(thrown)}`,
        { hint: "give an absolute path, or a program that is in /usr/bin", cause: thrown },
      );
    }
  }

  #protocol(context: RunContext, write: (text: string) => void): JsonLines {
    const { jsonLines = () => NONE } = this.options;
    return jsonLines({
      write: (line) => write(`${line}\n`),
      event: (...events) => void this.#events.push(...events),
      steered: () => {},
      end: (end) => void (this.#end ??= end),
      ready: () => {},
      fail: (why) => void (this.#failure ??= why),
    }, {
      approve: ({ tool, input, reason }) =>
        context.approve(approvalBody({
          ...describedCall(tool, input),
          ...(reason === null ? {} : { reason }),
        })),
    });
  }

  /** What the parent says meanwhile, as further messages. */
  async #follow(context: RunContext, over: AbortSignal, write: (text: string) => void) {
    while (!over.aborted && !context.signal.aborted) {
      await context.messageComes();
      for (const content of context.takeMessages()) {
        write(`${JSON.stringify({ type: "user", message: { role: "user", content } })}\n`);
      }
    }
  }

  /** @returns its text, where it is text */
  async #read(
    child: Deno.ChildProcess,
    context: RunContext,
    protocol: JsonLines,
    input: WritableStreamDefaultWriter<Uint8Array>,
  ): Promise<string> {
    let text = "";
    for await (const line of readLines(child.stdout, MAX_LINE)) {
      if (!this.#jsonOut || !line.isWhole) {
        if (text.length < MAX_RESULT) text += `${line.text}${line.isWhole ? "\n" : ""}`;
        await context.emit({ type: "output", text: line.text } satisfies AgentEvent);
        continue;
      }
      protocol.line(line.text);
      for (const event of this.#events.splice(0)) {
        await context.emit(event);
        if (event.type === "usage") this.#count(child);
      }
      // It has said what it had to say, and waits for more.
      if (this.#end !== null) void input.close().catch(() => {});
    }
    return text.trimEnd();
  }

  #count(child: Deno.ChildProcess): void {
    const { max_rounds } = this.spec.limits;
    if (max_rounds === undefined || ++this.#rounds <= max_rounds || this.#end !== null) return;
    this.#failure ??= `it took more than the ${max_rounds} rounds of its max_rounds`;
    killGroup(child.pid);
  }

  #result(
    { signal: cancelled }: RunContext,
    text: string,
    exit: { code: number; signal: Deno.Signal | null; complaint: string },
  ): string {
    cancelled.throwIfAborted();
    if (this.#failure !== null) throw new Error(this.#failure);
    if (this.#end !== null) {
      if (this.#end.status === "completed") return this.#end.result ?? "";
      throw new Error(this.#end.error ?? "the program cancelled it");
    }
    if (exit.code === 0 && !this.#jsonOut) return text;
    const how = exit.signal === null ? `with status ${exit.code}` : `by ${exit.signal}`;
    const why = exit.complaint === "" ? "" : `: ${exit.complaint}`;
    throw new Error(
      `the program ended ${how}${exit.code === 0 ? " without a result" : ""}${why}`,
    );
  }

  async #stop(child: Deno.ChildProcess, over: AbortSignal): Promise<void> {
    killGroup(child.pid, "SIGTERM");
    try {
      await (this.options.clock ?? systemClock).sleep(GRACE_MS, over);
    } catch {
      return;
    }
    killGroup(child.pid);
  }

  async #complaint(stream: ReadableStream<Uint8Array>): Promise<string> {
    let kept = "";
    for await (const { text } of readLines(stream, MAX_LINE)) {
      kept = `${kept}${text}\n`.slice(-MAX_COMPLAINT);
    }
    return kept.trim();
  }
}

/** All that the program gets of an environment. */
function environmentIn(
  home: string,
  around: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LANG: "C.UTF-8",
    ...around,
    HOME: home,
    TMPDIR: home,
  };
}

function killGroup(pid: number, signal: Deno.Signal = "SIGKILL"): void {
  try {
    Deno.kill(-pid, signal);
  } catch {
    // All of it has ended already.
  }
}
