// SPDX-License-Identifier: Apache-2.0

/**
 * One attached tmux client on a terminal of its own, without native code: `script` makes the terminal
 * and copies it to pipes, `stty -F` sets its size.
 */
import { ObserveError } from "./errors.ts";
import type { Size } from "./frames.ts";
import { ENVIRONMENT, TMUX } from "./session.ts";

const SCRIPT = "/usr/bin/script";
const STTY = "/usr/bin/stty";
/** Longest first line: the terminal's name. */
const MAX_NAME = 64;
/** Answers the name's line: now the client may start. */
const START = new TextEncoder().encode("\n");

export interface TerminalOptions {
  readonly tmuxSocket: string;
  /** Checked by `parseRelayBootstrap`: safe in a shell command. */
  readonly session: string;
  readonly size: Size;
}

export class Terminal {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  /** Path of the terminal's slave, e.g. `/dev/pts/0`. */
  #name: string | null = null;
  #head: Uint8Array = new Uint8Array();
  /** Resolves with the client's first output, or its end. */
  readonly #ready = Promise.withResolvers<void>();
  #wanted: Size | null = null;
  #resizing = false;

  constructor(options: TerminalOptions) {
    const { tmuxSocket, session, size } = options;
    // The client starts when the name was read: it discards what its terminal has not handed over yet.
    // It also keeps a writer of `script`'s own input open: when this process is killed, `script` would find
    // that input at its end and type ^D into the agent's shell, if its cell is not quick to end it.
    const command = `exec 9>"/proc/$PPID/fd/0"; ` +
      `stty -echo rows ${size.rows} cols ${size.cols}; tty; read -r started; ` +
      `exec ${TMUX} -u -S '${tmuxSocket}' attach-session -t '=${session}'`;
    this.#process = new Deno.Command(SCRIPT, {
      args: ["--quiet", "--flush", "--return", "--command", command, "/dev/null"],
      clearEnv: true,
      env: ENVIRONMENT,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#input = this.#process.stdin.getWriter();
    this.#output = this.#process.stdout.getReader();
  }

  /** The next bytes of the screen, or null when the client has ended. */
  async read(): Promise<Uint8Array | null> {
    while (true) {
      const { done, value } = await this.#output.read();
      if (done) {
        this.#ready.resolve();
        return null;
      }
      const rest = this.#name === null ? this.#readName(value) : value;
      if (rest === null || rest.length === 0) continue;
      this.#ready.resolve();
      return rest;
    }
  }

  /** The first line is the terminal's name, which resizing needs. */
  #readName(bytes: Uint8Array): Uint8Array | null {
    const head = new Uint8Array(this.#head.length + bytes.length);
    head.set(this.#head);
    head.set(bytes, this.#head.length);
    this.#head = head;
    const end = head.indexOf(0x0a);
    if (end < 0 && head.length <= MAX_NAME) return null;
    const name = new TextDecoder().decode(head.subarray(0, Math.max(end, 0))).trim();
    if (!/^\/dev\/pts\/\d+$/.test(name)) {
      this.kill();
      throw new ObserveError("no-terminal", "Cannot observe: there is no terminal to be had");
    }
    this.#name = name;
    this.#input.write(START).catch(() => {
      // It ended meanwhile; reading says so.
    });
    this.#head = new Uint8Array();
    if (this.#wanted !== null) this.#applySize();
    return head.subarray(end + 1);
  }

  /** Keystrokes. Those that come before the client reads would be lost, so they wait for it. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#ready.promise;
    await this.#input.write(bytes);
  }

  /** Sizes that come while one is being set replace each other. */
  resize(size: Size): void {
    this.#wanted = size;
    if (this.#name !== null) this.#applySize();
  }

  #applySize(): void {
    if (this.#resizing || this.#wanted === null) return;
    const { cols, rows } = this.#wanted;
    this.#wanted = null;
    this.#resizing = true;
    new Deno.Command(STTY, {
      args: ["-F", this.#name!, "rows", String(rows), "cols", String(cols)],
      clearEnv: true,
      env: ENVIRONMENT,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output().catch(() => {
      // The client has ended and its terminal with it.
    }).finally(() => {
      this.#resizing = false;
      this.#applySize();
    });
  }

  /** Exit status of the client; 0 when the session ended or was left. */
  async ended(): Promise<number> {
    return (await this.#process.status).code;
  }

  /**
   * Takes the terminal away. Never by closing its input: `script` would then type ^D, which would end
   * the agent's shell.
   */
  kill(): void {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}
