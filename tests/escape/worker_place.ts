// SPDX-License-Identifier: Apache-2.0

/** `bureau worker …` as a person uses it, in a state directory of a test's own. */
import { ROOT } from "../e2e/harness.ts";

const decoder = new TextDecoder();

interface Done {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A directory of the test's own, and nothing that stays when it is gone. */
export class Place implements AsyncDisposable {
  readonly #children: Deno.ChildProcess[] = [];
  private constructor(readonly dir: string) {}

  /** Where the host of its workers is, if there is one. */
  async hostDir(): Promise<string> {
    const cksum = new Deno.Command("cksum", { stdin: "piped", stdout: "piped" }).spawn();
    const writer = cksum.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${this.dir}/s`));
    await writer.close();
    const { stdout } = await cksum.output();
    return `/tmp/bureau-w${Deno.uid()}-${decoder.decode(stdout).split(" ")[0]}`;
  }

  static async make(): Promise<Place> {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-worker" });
    // Root's sandboxes are another user's.
    await Deno.chmod(dir, 0o777);
    return new Place(dir);
  }

  spawn(...args: string[]): Deno.ChildProcess {
    return this.#spawn("sh", [`${ROOT}/tasks/bureau`, "worker", ...args]);
  }

  /** The same on a terminal of its own, whose keys are its stdin and whose screen is its stdout. */
  spawnOnTerminal(...args: string[]): Deno.ChildProcess {
    const quoted = ["sh", `${ROOT}/tasks/bureau`, "worker", ...args]
      .map((word) => `'${word.replaceAll("'", "'\\''")}'`);
    return this.#spawn("script", ["-qec", quoted.join(" "), "/dev/null"]);
  }

  #spawn(program: string, args: string[]): Deno.ChildProcess {
    const child = new Deno.Command(program, {
      args,
      cwd: this.dir,
      env: {
        BUREAU_STATE_DIR: `${this.dir}/s`,
        BUREAU_RUN_DIR: `${this.dir}/r`,
        BUREAU_DENO: Deno.execPath(),
        INIT_CWD: this.dir,
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#children.push(child);
    return child;
  }

  run(args: string[], input = ""): Promise<Done> {
    return this.#end(this.spawn(...args), input);
  }

  /** With its standard output open under another number, too: this ends when all who have that are gone. */
  runWithAnother(args: string[]): Promise<Done> {
    const script = 'exec 27>&1; exec sh "$@"';
    const words = [`${ROOT}/tasks/bureau`, "worker", ...args];
    return this.#end(this.#spawn("bash", ["-c", script, "bash", ...words]), "");
  }

  async #end(child: Deno.ChildProcess, input: string): Promise<Done> {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) await child.status;
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** Processes whose arguments say `mark`. */
export async function processes(mark: string): Promise<number[]> {
  const found: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes(mark)) found.push(Number(name));
  }
  return found;
}

/** Not 127.0.0.1, which programs in a sandbox take for their own. */
export function forward(to: number): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.2", port: 0 });
  void (async () => {
    for await (const from of listener) {
      void (async () => {
        const on = await Deno.connect({ hostname: "127.0.0.1", port: to });
        await Promise.allSettled([
          from.readable.pipeTo(on.writable),
          on.readable.pipeTo(from.writable),
        ]);
      })().catch(() => {});
    }
  })().catch(() => {});
  return listener;
}
