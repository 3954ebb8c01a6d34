// SPDX-License-Identifier: Apache-2.0

/** `bureau worker spawn`, `list` and `stop` as a person uses them: a host that stays, real launchers, real sandboxes. */
import assert from "node:assert/strict";
import { hostClient } from "../../src/agent/host/client.ts";
import type { WorkerView } from "../../src/agent/host/api.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually } from "../e2e/harness.ts";
import { unreachable } from "./reach.ts";
import { Place, processes } from "./worker_place.ts";

async function list(place: Place): Promise<WorkerView[]> {
  const { code, out, err } = await place.run(["list", "--json"]);
  assert.deepEqual([code, err], [0, ""]);
  return JSON.parse(out).workers;
}

/** Each has ended, and the host with them, however the test went. */
async function withPlace(test: (place: Place, hostDir: string) => Promise<void>): Promise<void> {
  await using place = await Place.make();
  const hostDir = await place.hostDir();
  try {
    await test(place, hostDir);
  } finally {
    await place.run(["stop", "--all", "--yes"]);
    await eventually("nothing of it is left", async () => {
      const left = await processes(hostDir);
      if (left.length > 0) throw new Error(`${left}`);
      return true;
    });
    await eventually("nor its directory", async () => {
      if (await exists(hostDir)) throw new Error([...Deno.readDirSync(hostDir)].join());
      return true;
    });
  }
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

Deno.test("worker spawn: it waits in its sandbox, is listed, has run after run, and is stopped", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await withPlace(async (place, hostDir) => {
    assert.deepEqual(await list(place), []);
    // A run begins with a home of its own, and sees what the one before left in what it may write alone.
    const script = `read word; echo "$word" >>made; echo $(cat made) in $(pwd) with $(ls -A $HOME)
      touch $HOME/x; ls /tmp | grep -c bureau-w`;
    await Deno.mkdir(`${place.dir}/work`);
    await Deno.chmod(`${place.dir}/work`, 0o777);
    await Deno.writeTextFile(`${place.dir}/outside`, "");
    await Deno.writeTextFile(
      `${place.dir}/spec.json`,
      JSON.stringify({ identity: { child_id: "x" }, workspace: `${place.dir}/work` }),
    );
    const spawned = await place.run([
      ...["spawn", "writer", "--role", "scribe", "--rw", "work", "--spec", "spec.json"],
      ...["--", "sh", "-c", script],
    ]);
    assert.deepEqual(spawned, { code: 0, out: "writer\n", err: "" });
    // What stays keeps nothing open: whoever reads a pipe to its end is not kept by it.
    const named = await place.runWithAnother(["spawn", "--json"]);
    assert.deepEqual(JSON.parse(named.out), { name: "worker-1", workers: ["worker-1"] });
    for (const [word, made] of [["one", "one"], ["two", "one two"]] as const) {
      const { code, out } = await place.run(["run", "--worker", "writer"], `${word}\n`);
      assert.deepEqual([code, out], [0, `${made} in ${place.dir}/work with\n1\n`]);
    }
    const json = await place.run(["run", "--worker", "worker-1", "--json", "--assignment", "hi"]);
    assert.deepEqual(JSON.parse(json.out.trimEnd().split("\n").at(-1)!), {
      assignment: 0,
      outcome: { status: "completed", result: "echo: hi" },
    });
    const views = await list(place);
    assert.deepEqual(
      views.map(({ name, executor, role, state, live, runs, last }) =>
        [name, executor, role, state, live, runs, last].join()
      ),
      ["worker-1,echo,,idle,true,1,completed", "writer,cli_adapter,scribe,idle,true,2,completed"],
    );
    const shown = await place.run(["list"]);
    assert.match(shown.out, /^writer +cli_adapter +scribe +idle +\d+ s +2 +completed$/m);
    // What holds them is the operator's alone.
    for (const [name, mode] of [["", 0o700], ["/host.sock", 0o600], ["/workers.json", 0o600]]) {
      assert.equal((await Deno.stat(`${hostDir}${name}`)).mode! & 0o777, mode);
    }
    await place.run(["spawn", "brief", "--idle", "1"]);
    await eventually("one that nobody needs has ended", async () => {
      const { state, live, reason } = (await list(place)).find(({ name }) => name === "brief")!;
      assert.deepEqual([state, live, reason], ["ended", false, "nobody needed it for 1 s"]);
      return true;
    });
    const unsure = await place.run(["stop", "writer"]);
    assert.deepEqual([unsure.code, unsure.err], [
      2,
      "error: Cannot stop writer without being told so\nhint: look with --dry-run, then add --yes\n",
    ]);
    for (const word of ["has ended", "had ended already"]) {
      assert.equal((await place.run(["stop", "writer", "--yes"])).out, `writer ${word}\n`);
    }
    const unknown = await place.run(["stop", "wirter", "--yes"]);
    assert.deepEqual([unknown.code, unknown.err], [
      5,
      'error: Cannot stop "wirter": there is no such worker\nhint: did you mean writer?\n',
    ]);
    const gone = await place.run(["run", "--worker", "writer", "--assignment", "x"]);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /"writer" has ended: it was stopped/);
    const twice = await place.run(["run", "--worker", "worker-1", "--ro", "work"]);
    assert.match(twice.err, /^error: Cannot use --ro here: the worker of --worker is made already/);
  });
});

Deno.test("worker spawn: a pool, for runs whose spec is its own; another state directory has other workers", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await withPlace(async (place) => {
    const spec = {
      identity: { child_id: "x", role: "reader" },
      placement: { kind: "schedulable", pool: "readers" },
    };
    await Deno.writeTextFile(`${place.dir}/spec.json`, JSON.stringify(spec));
    const run = (...args: string[]) => place.run(["run", "--assignment", "hi", ...args]);
    const early = await run("--spec", "spec.json");
    assert.deepEqual([early.code, early.out], [1, ""], "nobody else runs it");
    assert.match(early.err, /^error: Cannot place a run: no worker was spawned/);
    const spawned = await place.run(["spawn", "--pool", "readers", "--spec", "spec.json"]);
    assert.deepEqual(spawned, { code: 0, out: "readers\n", err: "" });
    for (
      const args of [["--spec", "spec.json"], ["--pool", "readers", "--role", "reader"], [
        "--pool",
        "readers",
      ]]
    ) {
      assert.deepEqual(await run(...args), { code: 0, out: "echo: hi\n", err: "" }, args.join(" "));
    }
    const other = await run("--pool", "readers", "--role", "writer");
    assert.equal(other.code, 1);
    assert.match(other.err, /made with another spec \(identity\.role\)\nhint: spawn a pool with/);
    const runs = (await list(place)).map(({ runs }) => runs).sort();
    assert.deepEqual(runs, [1, 2]);
    await using another = await Place.make();
    assert.deepEqual(await list(another), []);
    const theirs = await another.run(["run", "--pool", "readers", "--assignment", "hi"]);
    assert.match(theirs.err, /no worker was spawned/);
  });
});

Deno.test("worker spawn: whoever kills the host ends its workers, and the list says so; the next spawn begins anew", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await withPlace(async (place, hostDir) => {
    const mark = `62${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    await place.run(["spawn", "sleeper", "--", "sleep", mark]);
    await place.run(["spawn", "idler"]);
    const run = place.run(["run", "--worker", "sleeper", "--assignment", "x"]);
    const sleeping = () => processesOf(mark);
    await eventually("its program runs", async () => {
      if ((await sleeping()).length === 0) throw new Error("not yet");
      return true;
    });
    const client = hostClient(hostDir);
    const { pid } = await client.call("host");
    client.close();
    Deno.kill(pid, "SIGKILL");
    const { code, err } = await run;
    assert.equal(code, 1);
    assert.match(err, /^error: Cannot finish assignment 1: /);
    await eventually("nothing of it runs", async () => {
      const left = [...await sleeping(), ...await processes(hostDir)];
      if (left.length > 0) throw new Error(`${left}`);
      return true;
    });
    const views = await list(place);
    assert.deepEqual(
      views.map(({ name, state, live, reason }) => ({ name, state, live, reason })),
      [
        {
          name: "sleeper",
          state: "ended",
          live: false,
          reason: "its host was killed, and it with its host",
        },
        {
          name: "idler",
          state: "ended",
          live: false,
          reason: "its host was killed, and it with its host",
        },
      ],
    );
    assert.equal((await place.run(["stop", "idler"])).out, "idler had ended already\n");
    assert.equal((await place.run(["spawn", "idler"])).out, "idler\n");
    assert.deepEqual((await list(place)).map(({ name, state }) => [name, state]), [[
      "idler",
      "idle",
    ]]);
    assert.equal(
      (await place.run(["run", "--worker", "idler", "--assignment", "x"])).out,
      "echo: x\n",
    );
  });
});

/** Whose arguments are `sleep MARK` alone: the shell and the CLI have it among theirs, too. */
async function processesOf(mark: string): Promise<number[]> {
  const found: number[] = [];
  for (const pid of await processes(mark)) {
    const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
    if (line === `/usr/bin/sleep\0${mark}\0` || line === `sleep\0${mark}\0`) found.push(pid);
  }
  return found;
}
