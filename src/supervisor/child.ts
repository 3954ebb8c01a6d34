// SPDX-License-Identifier: Apache-2.0

/**
 * One supervised process: started with its document on stdin, declared running by its readiness line,
 * restarted with back-off when it dies. It never outlives its supervisor (`setpriv --pdeathsig`).
 */
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { parseErrorBody } from "../lib/http/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { SupervisedProcess } from "./api.ts";
import { SupervisorError } from "./errors.ts";
import { privilegeArguments } from "./oneshot.ts";

export interface Identity {
  readonly uid: number;
  readonly gid: number;
}

export interface ChildSpec {
  readonly name: string;
  /** Deno and its arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Drops to this user; absent: stays who we are. */
  readonly identity?: Identity;
  /** Built anew for each start: a session may have changed. Secret. */
  readonly bootstrap: () => Promise<unknown>;
  readonly logFile: string;
}

/** A start must say `ready` within this time: 30 s. */
const READY_DEADLINE_MS = 30_000;
const MAX_LINE = 65_536;
/** What an ended process wrote is there at once; a pipe that somebody else holds is not waited for. */
const LAST_WORDS_MS = 500;
/** Then it becomes `<name>.log.1`: an agent that makes us log must not fill the disk. */
const MAX_LOG_BYTES = 32 * 1024 * 1024;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 5_000;
/** After this long of running, a death counts as the first again. */
const STABLE_MS = 30_000;

export class Child {
  readonly #spec: ChildSpec;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #process: Deno.ChildProcess | null = null;
  #status: SupervisedProcess;
  #loop: Promise<void> = Promise.resolve();
  #ready: Record<string, unknown> = {};
  /** What it said was wrong before it ended, and the end of its saying. */
  #lastWords: string | null = null;
  #said: Promise<void> = Promise.resolve();

  constructor(spec: ChildSpec, clock: Clock, log: Logger) {
    this.#spec = spec;
    this.#clock = clock;
    this.#log = log.with({ process: spec.name });
    this.#status = {
      name: spec.name,
      pid: null,
      state: "starting",
      restarts: 0,
      started_at: null,
      message: null,
    };
  }

  get status(): SupervisedProcess {
    return this.#status;
  }

  /** The fields of the last readiness line. */
  get ready(): Readonly<Record<string, unknown>> {
    return this.#ready;
  }

  /** Starts once and resolves when it serves; from then on restarts it by itself. */
  async start(): Promise<void> {
    const { exited } = await this.#launch();
    this.#loop = this.#keepRunning(exited);
  }

  /** Polite signal, then a kill after `graceMs`; resolves when it is gone. */
  async stop(graceMs = 5_000): Promise<void> {
    this.#stopping.abort(new Error("stopping"));
    const process = this.#process;
    if (process !== null) {
      this.#signal(process, "SIGTERM");
      const timer = setTimeout(() => this.#signal(process, "SIGKILL"), graceMs);
      await process.status.finally(() => clearTimeout(timer));
    }
    await this.#loop;
    this.#status = { ...this.#status, pid: null, state: "stopped" };
  }

  #signal(process: Deno.ChildProcess, signal: Deno.Signal): void {
    try {
      process.kill(signal);
    } catch (thrown) {
      // It ended between the look and the signal, which is what we wanted.
      if (!(thrown instanceof TypeError) && !(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
  }

  async #launch(): Promise<{ exited: Promise<Deno.CommandStatus> }> {
    const document = JSON.stringify(await this.#spec.bootstrap());
    const process = new Deno.Command("/usr/bin/setpriv", {
      args: [...privilegeArguments(this.#spec.identity), ...this.#spec.command],
      cwd: this.#spec.cwd,
      env: { ...this.#spec.env },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      // Its own session: Ctrl-C reaches the supervisor alone, which then stops things in order.
      detached: true,
    }).spawn();
    this.#process = process;
    const exited = process.status.finally(() => this.#process = null);
    exited.catch(() => {});
    const logging = this.#copyLog(process.stderr);
    try {
      await writeDocument(process.stdin, document);
      this.#ready = await this.#awaitReady(process, exited);
    } catch (thrown) {
      this.#signal(process, "SIGKILL");
      await exited;
      await logging;
      this.#status = { ...this.#status, pid: null, state: "failed", message: messageOf(thrown) };
      throw thrown;
    }
    this.#status = {
      ...this.#status,
      pid: process.pid,
      state: "running",
      started_at: this.#clock.now(),
      message: null,
    };
    return { exited };
  }

  async #awaitReady(
    process: Deno.ChildProcess,
    exited: Promise<Deno.CommandStatus>,
  ): Promise<Record<string, unknown>> {
    const { name } = this.#spec;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() =>
        reject(
          new SupervisorError(
            "start-late",
            `Cannot start "${name}": it was not ready within ${READY_DEADLINE_MS / 1000} s`,
            { hint: `read ${this.#spec.logFile}` },
          ),
        ), READY_DEADLINE_MS);
    });
    try {
      this.#lastWords = null;
      const { first, rest } = readLines(process.stdout, (line) => {
        const error = parseErrorBody(parseObject(line));
        if (error === null) return;
        this.#lastWords = error.hint === undefined
          ? error.message
          : `${error.message}; ${error.hint}`;
      });
      this.#said = rest;
      const line = await Promise.race([first, late]);
      const body = line === "" ? null : JSON.parse(line) as Record<string, unknown>;
      if (body?.["ready"] === true) return body;
      const error = parseErrorBody(body);
      if (error !== null) {
        throw new SupervisorError(error.code, error.message, {
          ...(error.hint === undefined ? {} : { hint: error.hint }),
        });
      }
      const { code, signal } = await exited;
      throw new SupervisorError(
        "start-failed",
        `Cannot start "${name}": it ended with ${signal ?? `status ${code}`} before it was ready`,
        { hint: `read ${this.#spec.logFile}` },
      );
    } finally {
      clearTimeout(timer);
      late.catch(() => {});
    }
  }

  async #keepRunning(first: Promise<Deno.CommandStatus>): Promise<void> {
    let exited = first;
    let backoff = BACKOFF_FIRST_MS;
    while (true) {
      const startedAt = this.#clock.now();
      const status = await exited;
      if (this.#stopping.signal.aborted) return;
      await Promise.race([this.#said, this.#clock.sleep(LAST_WORDS_MS)]);
      const why = this.#lastWords ?? `ended with ${status.signal ?? `status ${status.code}`}`;
      this.#log.warn("process ended, restarting", { why });
      this.#status = {
        ...this.#status,
        pid: null,
        state: "restarting",
        restarts: this.#status.restarts + 1,
        message: why,
      };
      if (this.#clock.now() - startedAt > STABLE_MS) backoff = BACKOFF_FIRST_MS;
      const next = await this.#relaunch(backoff);
      if (next === null) return;
      exited = next.exited;
      backoff = next.backoff;
    }
  }

  async #relaunch(
    first: number,
  ): Promise<{ exited: Promise<Deno.CommandStatus>; backoff: number } | null> {
    let backoff = first;
    while (true) {
      try {
        await this.#clock.sleep(backoff, this.#stopping.signal);
      } catch {
        return null;
      }
      backoff = Math.min(backoff * 2, BACKOFF_LAST_MS);
      try {
        const { exited } = await this.#launch();
        if (this.#stopping.signal.aborted && this.#process !== null) {
          this.#signal(this.#process, "SIGTERM");
        }
        return { exited, backoff };
      } catch (thrown) {
        if (this.#stopping.signal.aborted) return null;
        this.#log.error("process could not be restarted", { why: messageOf(thrown) });
        this.#status = { ...this.#status, state: "restarting", message: messageOf(thrown) };
      }
    }
  }

  async #copyLog(stderr: ReadableStream<Uint8Array>): Promise<void> {
    const { logFile } = this.#spec;
    let file: Deno.FsFile | null = null;
    let size = 0;
    let failing = false;
    for await (const chunk of stderr) {
      try {
        if (file !== null && size > MAX_LOG_BYTES) {
          file.close();
          file = null;
          await Deno.rename(logFile, `${logFile}.1`);
        }
        if (file === null) {
          file = await openLog(logFile);
          size = (await file.stat()).size;
        }
        size += chunk.length;
        let rest = chunk;
        while (rest.length > 0) rest = rest.subarray(await file.write(rest));
        failing = false;
      } catch (thrown) {
        // A full disk loses words, not the process that says them; later ones may be kept again.
        if (!failing) this.#log.error("cannot write the log", { why: messageOf(thrown), logFile });
        failing = true;
      }
    }
    file?.close();
  }
}

function openLog(path: string): Promise<Deno.FsFile> {
  return Deno.open(path, { append: true, create: true, write: true, mode: 0o600 });
}

async function writeDocument(stdin: WritableStream<Uint8Array>, text: string): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
  } catch {
    // The child ended before it read; its exit or its error line tells why.
  }
}

/** The first line of a stream; later ones go to `onLine`. It is read to its end: the writer never blocks. */
function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): { first: Promise<string>; rest: Promise<void> } {
  const first = Promise.withResolvers<string>();
  let take: (line: string) => void = first.resolve;
  const rest = (async () => {
    let text = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop()!.slice(0, MAX_LINE);
      for (const line of lines) {
        take(line.slice(0, MAX_LINE));
        take = onLine;
      }
    }
    take(text);
  })();
  // Its process is gone, which its exit tells.
  rest.catch(() => first.resolve(""));
  return { first: first.promise, rest: rest.catch(() => {}) };
}

function parseObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
