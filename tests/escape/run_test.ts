// SPDX-License-Identifier: Apache-2.0

/** `bureau sandbox run` as a person uses it: on a terminal, with pipes, with signals, and killed anywhere. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually, ROOT } from "../e2e/harness.ts";
import { PersonTerminal } from "../e2e/terminal.ts";
import { unreachable } from "./reach.ts";

const decoder = new TextDecoder();
const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** A directory of the test's own; the state and run directories in it are never made. */
class Place implements AsyncDisposable {
  private constructor(readonly dir: string) {}

  static async make(): Promise<Place> {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-run" });
    // Root's sandboxes are another user's.
    await Deno.chmod(dir, 0o777);
    return new Place(dir);
  }

  get env(): Record<string, string> {
    const deno = Deno.execPath();
    return {
      BUREAU_STATE_DIR: `${this.dir}/s`,
      BUREAU_RUN_DIR: `${this.dir}/r`,
      BUREAU_DENO: deno,
      // A test run under `deno task` inherits where that was started.
      INIT_CWD: this.dir,
    };
  }

  spawn(...args: string[]): Deno.ChildProcess {
    return new Deno.Command("sh", {
      args: [`${ROOT}/tasks/bureau`, "sandbox", ...args],
      cwd: this.dir,
      env: this.env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async run(args: string[], input = ""): Promise<{ code: number; out: string; err: string }> {
    const process = this.spawn(...args);
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
    const { code, stdout, stderr } = await process.output();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  }

  /** Processes whose environment or arguments say `mark`. */
  async processes(mark: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { name } of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
      const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
      if (line.includes(mark)) found.push(line.replaceAll("\0", " "));
    }
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("sandbox run passes input, output, errors and the exact exit status, and leaves nothing", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const piped = await place.run(
    ["run", "--", "sh", "-c", "cat; echo wrong >&2; exit 7"],
    "hello\n",
  );
  assert.deepEqual(piped, { code: 7, out: "hello\n", err: "wrong\n" });
  for (
    const [script, code] of [["exit 0", 0], ["kill -9 $$", 137], ["kill -TERM $$", 143]] as const
  ) {
    assert.equal((await place.run(["run", "--", "sh", "-c", script])).code, code, script);
  }
  const words = await place.run(["run", "--", "printf", "%s|", "two words", "it's", "", "$HOME"]);
  assert.equal(words.out, "two words|it's||$HOME|");
  const big = await place.run(["run", "--", "sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"]);
  assert.equal(big.out.length, 3_000_000);
  // Neither state nor run directory: it needs none.
  assert.deepEqual([...Deno.readDirSync(place.dir)].map(({ name }) => name), []);
});

Deno.test("sandbox run shows what --rw and --ro name, starts where the person stands, and no more", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  await Deno.mkdir(`${place.dir}/work/deep`, { recursive: true });
  for (const dir of ["work", "work/deep"]) await Deno.chmod(`${place.dir}/${dir}`, 0o777);
  await Deno.writeTextFile(`${place.dir}/outside`, "secret", { mode: 0o644 });
  const script = "pwd; echo made >new; cat /data/outside; cat ../outside; id -u; echo $HOME";
  const done = await place.run(
    [
      "run",
      "--rw",
      ".",
      "--ro",
      "outside:/data/outside",
      "--",
      "sh",
      "-c",
      `cd work/deep; ${script}`,
    ],
  );
  assert.equal(done.code, 0, done.err);
  assert.equal(await Deno.readTextFile(`${place.dir}/work/deep/new`), "made\n");
  assert.match(done.out, new RegExp(`^${place.dir}/work/deep\nsecret`));
  const hidden = await place.run([
    "run",
    "--ro",
    "work",
    "--",
    "sh",
    "-c",
    `cat ${place.dir}/outside`,
  ]);
  assert.notEqual(hidden.code, 0);
  const readonly = await place.run(["run", "--ro", ".", "--", "touch", "new"]);
  assert.match(readonly.err, /Read-only/);
  for (
    const [args, message] of [
      [["run", "--rw", "nowhere", "--", "true"], /does not exist/],
      [["run", "--template", "none", "--", "true"], /none of that name/],
      [["run", "--rw", "work:/usr/x", "--", "true"], /belongs to the sandbox/],
    ] as const
  ) {
    const refused = await place.run([...args]);
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, message);
  }
});

Deno.test("sandbox run passes signals on, and ends everything when it is killed itself", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const mark = `mark-${crypto.randomUUID()}`;
  const program = (
    trap: string,
  ) => ["run", "--", "sh", "-c", `${trap}; echo ready; while :; do sleep 0.1; done`, mark];
  const ready = async (process: Deno.ChildProcess): Promise<ReadableStreamDefaultReader> => {
    const reader = process.stdout.getReader();
    let text = "";
    while (!text.includes("ready")) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`it ended: ${text}`);
      text += decoder.decode(value);
    }
    return reader;
  };
  for (const [signal, name, code] of [["SIGTERM", "TERM", 5], ["SIGINT", "INT", 6]] as const) {
    const process = place.spawn(...program(`trap 'exit ${code}' ${name}`));
    const reader = await ready(process);
    process.kill(signal);
    assert.equal((await process.status).code, code, name);
    await reader.cancel();
    await process.stderr.cancel();
    await process.stdin.close();
  }
  {
    const process = place.spawn(...program("trap '' TERM INT HUP"));
    const reader = await ready(process);
    assert.notDeepEqual(await place.processes(mark), [], "control: it is there to be seen");
    process.kill("SIGKILL");
    await process.status;
    await eventually("nothing is left", async () => (await place.processes(mark)).length === 0);
    await reader.cancel();
    await process.stderr.cancel();
    await process.stdin.close().catch(() => {});
  }
});

Deno.test("sandbox run on a terminal gives a terminal of its own: size, keys, job control, and all put back", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  await using person = await PersonTerminal.open(90, 25);
  const environment = Object.entries(place.env).map(([name, value]) => `${name}=${quote(value)}`);
  await person.enter(`clear; export ${environment.join(" ")}; before=$(stty -g)`);
  await person.enter(`clear; sh ${ROOT}/tasks/bureau sandbox run -- bash --norc; echo "status $?"`);
  await person.shows(/bash-[\d.]+\$/);
  await person.enter("clear; stty size; tty; test -t 2 && echo three");
  await person.shows(/^25 90$[^]*^\/dev\/pts\/0$[^]*^three$/m);
  await person.resize(100, 30);
  await person.enter("clear");
  await eventually("it has the new size", async () => {
    await person.enter("clear; stty size");
    return /^30 100$/m.test(await person.screen());
  });
  // A number of its own, to be found among all processes: keys that come before the program are the shell's.
  const asleep = async (seconds: string) => {
    await person.enter(`clear; sleep ${seconds}`);
    await eventually("it sleeps", async () => {
      const found = await place.processes(seconds);
      return found.some((line) => line.startsWith("sleep "));
    });
  };
  const unique = String(100_000_000 + crypto.getRandomValues(new Uint32Array(1))[0]!);
  await asleep(`${unique}.1`);
  await person.press("C-c");
  await person.enter("echo after $?");
  await person.shows(/^after 130$/m);
  await asleep(`${unique}.2`);
  await person.press("C-z");
  await person.shows(/Stopped/);
  await person.enter("kill %1; exit 9");
  await person.shows(/^exit/m);
  await person.enter("exit 9");
  await person.shows(/^status 9$/m);
  await person.enter(`clear; test "$before" = "$(stty -g)" && echo same`);
  await person.shows(/^same$/m);
});

Deno.test("sandbox run puts the terminal back when its launcher is killed", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  await using person = await PersonTerminal.open(90, 25);
  const mark = `mark-${crypto.randomUUID()}`;
  const environment = Object.entries(place.env).map(([name, value]) => `${name}=${quote(value)}`);
  await person.enter(`clear; export ${environment.join(" ")}; before=$(stty -g)`);
  const command = `sh -c 'echo running; exec sleep 1000 # ${mark}'`;
  await person.enter(
    `clear; sh ${ROOT}/tasks/bureau sandbox run -- ${command} & echo "pid $!."; fg`,
  );
  const screen = await person.shows(/^running/m);
  Deno.kill(Number(/pid (\d+)\./.exec(screen)![1]), "SIGKILL");
  await person.shows(/Killed/);
  await eventually("nothing is left", async () => (await place.processes(mark)).length === 0);
  await eventually("the settings are as they were", async () => {
    await person.enter(`clear; test "$before" = "$(stty -g)" && echo sa''me`);
    return /^same$/m.test(await person.screen());
  });
});
