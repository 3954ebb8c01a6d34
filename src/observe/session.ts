// SPDX-License-Identifier: Apache-2.0

/** What the relay asks of the session itself, beside the clients that it attaches. */
import { DIED } from "../lib/tmux/mod.ts";
import { ObserveError } from "./errors.ts";
import { parseSize, type Size } from "./frames.ts";

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

/**
 * What tmux says as its client's title, and says again when it changes: whether the program draws on the
 * alternate screen (0 or 1; tmux may be late with it), and the title that the program set.
 */
const TITLE = "#{alternate_on};#{pane_title}";

export class Session {
  readonly #socket: string;
  readonly #target: string;

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

  /** Makes it ready for the relay's client, the only one that it has. @returns its size */
  async prepare(): Promise<Size> {
    const target = ["-t", this.#target];
    const text = await this.#run([
      ...["display-message", "-p", ...target, "#{window_width} #{window_height}", ";"],
      // It has the size of its client, whatever an earlier release set.
      ...["set-option", "-w", "-u", ...target, "window-size", ";"],
      ...["set-option", ...target, "set-titles", "on", ";"],
      ...["set-option", ...target, "set-titles-string", TITLE],
    ]);
    const [, cols, rows] = /^(\d+) (\d+)$/.exec(text) ?? [];
    const size = parseSize(Number(cols), Number(rows));
    if (size !== null) return size;
    throw new ObserveError("no-session", "Cannot observe: the session has no size");
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
