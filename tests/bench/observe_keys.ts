// SPDX-License-Identifier: Apache-2.0

/** How long a key takes to come back as an echo, over whatever carries it. */

export interface KeyWay {
  write(bytes: Uint8Array<ArrayBuffer>): void | Promise<void>;
  /** Called at each output. */
  onOutput: () => void;
}

/** Fewer than a line holds: a line that wraps draws more than an echo. */
const KEYS_A_LINE = 60;
const REST_MS = 3;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One key after the other, each once the last was echoed. @returns milliseconds of each */
export async function keyLatency(way: KeyWay, count: number): Promise<number[]> {
  const encoder = new TextEncoder();
  const times: number[] = [];
  for (let key = 0; key < count; key++) {
    if (key % KEYS_A_LINE === 0) {
      await way.write(encoder.encode("\r"));
      // What a new line draws is over long before this.
      await pause(100);
    }
    const echoed = Promise.withResolvers<void>();
    const late = setTimeout(() => echoed.reject(new Error("a key was not echoed")), 5_000);
    way.onOutput = () => echoed.resolve();
    const before = performance.now();
    await way.write(encoder.encode(String.fromCharCode(97 + key % 26)));
    await echoed.promise;
    times.push(performance.now() - before);
    clearTimeout(late);
    await pause(REST_MS);
  }
  way.onOutput = () => {};
  return times;
}

/** The alternative: a plain tmux, attached on a terminal made by `script`. */
export class AttachedTmux implements KeyWay {
  onOutput: () => void = () => {};
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(readonly dir: string, readonly process: Deno.ChildProcess) {
    this.#writer = process.stdin.getWriter();
    this.#read();
  }

  static async start(command: readonly string[]): Promise<AttachedTmux> {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-k-" });
    await tmux(dir, "-f", "/dev/null", "new-session", "-d", "-s", "k", "--", ...command);
    await tmux(dir, "set-option", "-g", "status", "off");
    await tmux(dir, "set-option", "-s", "escape-time", "0");
    const attach = `stty rows 40 cols 120; exec /usr/bin/tmux -S ${dir}/t attach-session -t =k`;
    const process = new Deno.Command("/usr/bin/script", {
      args: ["--quiet", "--flush", "--command", attach, "/dev/null"],
      env: { SHELL: "/bin/sh", TERM: "xterm-256color", LANG: "C.UTF-8" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const attached = new AttachedTmux(dir, process);
    await new Promise<void>((resolve) => attached.onOutput = resolve);
    await pause(500);
    return attached;
  }

  async #read(): Promise<void> {
    for await (const _ of this.process.stdout) this.onOutput();
  }

  write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#writer.write(bytes);
  }

  async stop(): Promise<void> {
    await tmux(this.dir, "kill-server");
    await this.process.status;
    await Deno.remove(this.dir, { recursive: true });
  }
}

async function tmux(dir: string, ...args: string[]): Promise<void> {
  const { success } = await new Deno.Command("/usr/bin/tmux", {
    args: ["-S", `${dir}/t`, ...args],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`tmux ${args[0]} failed`);
}
