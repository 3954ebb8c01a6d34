// SPDX-License-Identifier: Apache-2.0

/** One tmux server with one session, spoken to through its socket by exact names (W-19). */
import { BureauError } from "../errors.ts";
import { spawn, type Spawned } from "../process/spawn.ts";

export class TmuxError extends BureauError {
  override readonly name = "TmuxError";
}

/** `=` asks for this very name; tmux would take a prefix otherwise. */
export const SESSION = "agent";
const TARGET = `=${SESSION}:`;
/** Channel that is signalled when the session's program has ended, by it or by the `pane-died` hook. */
export const DIED = "bureau-died";
const DEADLINE_MS = 15_000;
const KILL_ATTEMPTS = 3;

export interface PaneState {
  readonly pid: number;
  readonly dead: boolean;
  readonly status: number | null;
  readonly signal: number | null;
}

/** Written by the session's program as its last act, before it signals; see `sandbox/arguments.ts`. */
const EXIT_PATH = "/run/bureau/tmux/exit";

/**
 * Configuration of a principal's server: one session that runs `command`, kept after it ends so that
 * its status can be read, and no key that gives a watcher tmux commands.
 *
 * @param resized shell command after each change of size; sees tmux formats such as `#{pane_pid}`
 */
export function serverConfig(command: readonly string[], resized: string): string {
  const words = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return [
    "set -g remain-on-exit on",
    "set -g remain-on-exit-format ''",
    "set -g status off",
    "set -g mouse off",
    "set -g history-limit 50000",
    "set -g default-terminal screen-256color",
    "set -g set-clipboard off",
    "set -g allow-rename off",
    "set -g set-titles off",
    "set -g prefix None",
    "set -g prefix2 None",
    "set -s escape-time 0",
    "set -s exit-empty on",
    "set -g destroy-unattached off",
    "set -g window-size latest",
    "unbind -a",
    "unbind -a -T root",
    // Only where the program's own last words are missing: a second signal on a channel that nobody
    // waits on yet takes the first one back (tmux 3.3a), and the waiter would wait for ever.
    `set-hook -g pane-died { if-shell "[ -e ${EXIT_PATH} ]" "" "wait-for -S ${DIED}" }`,
    `set-hook -g window-resized { run-shell -b ${JSON.stringify(resized)} }`,
    `new-session -d -s ${SESSION} -x 120 -y 40 -- ${words}`,
    "",
  ].join("\n");
}

/**
 * The program and arguments that run one tmux client against the server, given tmux's own arguments. The
 * server may be hostile and can have its client open files, so this is to be a cell of its own.
 */
export type ClientCommand = (args: readonly string[]) => readonly [string, ...string[]];

/** A bwrap that is killed before it has given its child a user map leaves that child waiting for ever. */
const GROWN_MS = 500;

export class Tmux {
  readonly #command: ClientCommand;
  readonly #deadlineMs: number;
  readonly #data: readonly Uint8Array[];

  /**
   * @param deadlineMs how long one client may take
   * @param data what a client reads on descriptors 3, 4, …
   */
  constructor(
    command: ClientCommand,
    deadlineMs = DEADLINE_MS,
    data: readonly Uint8Array[] = [],
  ) {
    this.#command = command;
    this.#deadlineMs = deadlineMs;
    this.#data = data;
  }

  #spawn(args: readonly string[], keep: boolean): Spawned {
    const env = { PATH: "/usr/bin:/bin", TERM: "screen-256color", LANG: "C.UTF-8" };
    return spawn(this.#command(args), { env, data: this.#data, keep });
  }

  /**
   * @returns what it printed; null when there is no server, or it refused
   * @throws {TmuxError} `late` when it does not answer, which says nothing of whether it is there
   */
  async #run(args: readonly string[]): Promise<string | null> {
    const client = this.#spawn(args, true);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      client.kill();
    }, this.#deadlineMs);
    const { success, stdout } = await client.output.finally(() => clearTimeout(timer));
    if (success) return new TextDecoder().decode(stdout);
    if (!late) return null;
    throw new TmuxError(
      "late",
      `Cannot ask a terminal server (${args[0]}): no answer within ${this.#deadlineMs} ms`,
      { hint: "the machine is overloaded, or the server is stopped" },
    );
  }

  /** The pane's state, or null when there is no server. @throws {TmuxError} `late` */
  async pane(): Promise<PaneState | null> {
    const text = await this.#run([
      "list-panes",
      "-t",
      TARGET,
      "-F",
      "#{pane_pid} #{pane_dead} #{pane_dead_status} #{pane_dead_signal}",
    ]);
    // Empty fields leave their blanks, so the split keeps positions.
    const [pid, dead, status, signal] = (text ?? "").split("\n")[0]!.split(" ");
    if (pid === undefined || pid === "") return null;
    const number = (field: string | undefined) =>
      field === undefined || field === "" ? null : Number(field);
    return { pid: Number(pid), dead: dead === "1", status: number(status), signal: number(signal) };
  }

  /** Resolves when the pane has died or the server is gone; never polls. */
  async died(signal: AbortSignal): Promise<void> {
    const client = this.#spawn(["wait-for", DIED], false);
    const grown = performance.now() + GROWN_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = () => {
      timer = setTimeout(() => client.kill(), Math.max(0, grown - performance.now()));
    };
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    await client.output;
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }

  /** The last lines of screen and history, at most `lines`. @throws {TmuxError} `late` */
  async capture(lines: number): Promise<string[]> {
    const text = await this.#run(["capture-pane", "-p", "-J", "-t", TARGET, "-S", `-${lines}`]);
    return (text ?? "").replace(/\s+$/, "").split("\n").slice(-lines);
  }

  /** Runs a shell command in the server's cell. @throws {TmuxError} `late` */
  async shell(command: string): Promise<void> {
    await this.#run(["run-shell", command]);
  }

  /**
   * Ends the server, and with it its cell's process namespace.
   * @throws {TmuxError} `still-running` when it goes on answering
   */
  async kill(): Promise<void> {
    // A client that is late says nothing of whether its server is there.
    const late = () => "late" as const;
    for (let attempt = 0; attempt < KILL_ATTEMPTS; attempt++) {
      // Everything in the cell at once: a sandbox that was just being made outlives a server that only hangs up.
      await this.#run(["run-shell", "kill -KILL -1"]).catch(late);
      await this.#run(["kill-server"]).catch(late);
      if (await this.pane().catch(late) === null) return;
    }
    throw new TmuxError("still-running", "Cannot end a terminal server: it goes on answering", {
      hint: "end its processes by hand; they run as the launcher's user",
    });
  }
}
