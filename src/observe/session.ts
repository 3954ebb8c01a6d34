// SPDX-License-Identifier: Apache-2.0

/** What the relay asks of the session itself, beside the clients that it attaches. */
import { DIED } from "../lib/tmux/mod.ts";
import { ObserveError } from "./errors.ts";

export const TMUX = "/usr/bin/tmux";
/** For every program that the relay runs. */
export const ENVIRONMENT = {
  PATH: "/usr/bin:/bin",
  // What a watcher's terminal is taken for; everything in use today understands it.
  TERM: "xterm-256color",
  LANG: "C.UTF-8",
  SHELL: "/bin/sh",
};

/** A server that does not answer by then holds nobody up. */
const DEADLINE_MS = 15_000;

export class Session {
  readonly #socket: string;
  readonly #target: string;
  /** Watchers that type, whose terminal is the measure of the session's. */
  #typists = 0;
  #sizing: Promise<void> = Promise.resolve();

  constructor(tmuxSocket: string, name: string) {
    this.#socket = tmuxSocket;
    this.#target = `=${name}:`;
  }

  #spawn(
    args: readonly string[],
    stdout: "piped" | "null",
    signal?: AbortSignal,
  ): Deno.ChildProcess {
    return new Deno.Command(TMUX, {
      args: ["-S", this.#socket, ...args],
      clearEnv: true,
      env: ENVIRONMENT,
      stdin: "null",
      stdout,
      stderr: "null",
      ...(signal === undefined ? {} : { signal }),
    }).spawn();
  }

  async #run(args: readonly string[]): Promise<string> {
    const { success, stdout } = await this.#spawn(args, "piped", AbortSignal.timeout(DEADLINE_MS))
      .output();
    if (!success) throw new ObserveError("no-session", "Cannot observe: the session is not there");
    return new TextDecoder().decode(stdout).replace(/\n$/, "");
  }

  /** The screen as it is now, as text without attributes. */
  async capture(): Promise<string[]> {
    return (await this.#run(["capture-pane", "-p", "-t", this.#target])).split("\n");
  }

  /** To be awaited before a client attaches: tmux would size an otherwise unwatched session to a reader. */
  async enter(types: boolean): Promise<void> {
    if (types) this.#typists++;
    await this.#resized();
  }

  /** To be awaited before that client is ended. */
  async leave(types: boolean): Promise<void> {
    if (types) this.#typists--;
    await this.#resized();
  }

  /** One after the other, each by what holds when it runs. */
  #resized(): Promise<void> {
    this.#sizing = this.#sizing.then(() => this.#typists > 0 ? this.#follow() : this.#pin()).catch(
      // No session: the client that attaches says so.
      () => {},
    );
    return this.#sizing;
  }

  /** The size follows whoever typed last. */
  async #follow(): Promise<void> {
    await this.#run(["set-option", "-w", "-u", "-t", this.#target, "window-size"]);
  }

  /** The size stays what it is. */
  async #pin(): Promise<void> {
    const format = "#{window_width} #{window_height}";
    const text = await this.#run(["display-message", "-p", "-t", this.#target, format]);
    const [, cols, rows] = /^(\d+) (\d+)$/.exec(text) ?? [];
    if (cols === undefined || rows === undefined) return;
    await this.#run(["resize-window", "-t", this.#target, "-x", cols, "-y", rows]);
  }

  /** @returns whether the program has ended; false: the server is gone, or `signal` came */
  async died(signal: AbortSignal): Promise<boolean> {
    const process = this.#spawn(["wait-for", DIED], "null");
    const stop = () => {
      try {
        process.kill("SIGKILL");
      } catch {
        // It ended by itself.
      }
    };
    signal.addEventListener("abort", stop, { once: true });
    const { success } = await process.status;
    signal.removeEventListener("abort", stop);
    if (!success) return false;
    // The launcher waits for the same signal. If it was away, ours was the only wait, and took it.
    await this.#run(["wait-for", "-S", DIED]).catch(() => {});
    return true;
  }
}
