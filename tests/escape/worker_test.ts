// SPDX-License-Identifier: Apache-2.0

/** `bureau worker run` and `bureau worker pool` as a person uses them: real launchers, real sandboxes. */
import assert from "node:assert/strict";
import { call, say, startModels } from "../../src/agent/testing/model/mod.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually } from "../e2e/harness.ts";
import { unreachable } from "./reach.ts";
import { forward, Place, processes } from "./worker_place.ts";

const lines = (text: string) => text.trimEnd().split("\n");

Deno.test("worker run: an assignment, its events, and its result, from a sandbox of its own", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const echo = await place.run(["run", "--assignment", "say this"]);
  assert.deepEqual(echo, { code: 0, out: "echo: say this\n", err: "" });
  const json = await place.run(["run", "--json"], "from stdin");
  assert.deepEqual(
    lines(json.out).map((line) => JSON.parse(line)),
    [
      { assignment: 0, event: { type: "token", content: "from " } },
      { assignment: 0, event: { type: "token", content: "stdin" } },
      { assignment: 0, event: { type: "complete" } },
      { assignment: 0, outcome: { status: "completed", result: "echo: from stdin" } },
    ].map((line) => JSON.parse(JSON.stringify(line).replace('"stdin"', '"stdin "'))),
  );
  const late = await place.run(
    ["run", "--timeout", "1", "--assignment", "__sleep_ms:600000 x"],
  );
  assert.equal(late.code, 1);
  assert.match(late.err, /^error: Cannot finish assignment 1: it took longer than/);
  const wrong = await place.run(["run", "--rounds", "3", "--assignment", "x", "--", "true"]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /it would not keep max_rounds/);
  // Neither state nor run directory: it needs none.
  assert.deepEqual([...Deno.readDirSync(place.dir)], []);
});

Deno.test("worker run: a command sees its sandbox, the workspace, and nothing else of the machine", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  await Deno.mkdir(`${place.dir}/work`);
  await Deno.chmod(`${place.dir}/work`, 0o777);
  await Deno.writeTextFile(`${place.dir}/outside`, "secret");
  const script = `read word; echo "$word" >made; pwd; ls ${place.dir}; echo $(ls /tmp | sed s/-.*//)
    ls /proc | grep -c '^[0-9]'; env | cut -d = -f 1 | sort | tr '\\n' ' '`;
  const child = await place.run(
    ["run", "--rw", "work", "--spec", "spec.json", "--", "sh", "-c", script],
    "a word\n",
  ).catch((thrown) => thrown);
  assert.match(child.err, /Cannot read/, "its file is not there");
  await Deno.writeTextFile(
    `${place.dir}/spec.json`,
    JSON.stringify({ identity: { child_id: "x", role: "writer" }, workspace: `${place.dir}/work` }),
  );
  const done = await place.run(
    ["run", "--rw", "work", "--spec", "spec.json", "--", "sh", "-c", script],
    "a word\n",
  );
  assert.deepEqual([done.code, done.err], [0, ""]);
  const [pwd, beside, tmp, count, names] = lines(done.out);
  assert.equal(pwd, `${place.dir}/work`);
  assert.equal(beside, "work", "the file outside is not there");
  assert.equal(tmp, "b bureau", "the bind, and where it meets its parent");
  assert.ok(Number(count) < 12, `it sees ${count} processes`);
  assert.equal(names, "HOME LANG PATH PWD TERM TMPDIR");
  assert.equal(await Deno.readTextFile(`${place.dir}/work/made`), "a word\n");

  // What a way out and a credential are for is the program.
  await Deno.writeTextFile(`${place.dir}/token`, "the-real-one\n");
  const open = await place.run([
    ...["run", "--allow-host", "one.invalid", "--credential", "GH_TOKEN=token@one.invalid"],
    ...["--assignment", "x", "--", "sh", "-c", 'read word; echo "$HTTPS_PROXY"; echo "$GH_TOKEN"'],
  ]);
  assert.equal(open.code, 0, open.err);
  const [way, token] = lines(open.out);
  assert.equal(way, "http://127.0.0.1:8642");
  assert.match(token!, /^bureau-placeholder-/);
});

Deno.test("worker pool: lines of stdin over warm workers, in their order, whatever becomes of each", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const all = await place.run(["pool", "--size", "2"], "a\nb\n\nc d\ne\nf\n");
  assert.deepEqual(all, {
    code: 0,
    out: "echo: a\necho: b\necho: c d\necho: e\necho: f\n",
    err: "",
  });
  const script =
    "read x; [ $x != bad ] || { echo no >&2; exit 9; }; echo got $x; ls -A $HOME; touch $HOME/x";
  const some = await place.run(["pool", "--size", "1", "--", "sh", "-c", script], "a\nbad\nb\n");
  assert.deepEqual(some, {
    code: 1,
    out: "got a\ngot b\n",
    err: "error: Cannot finish assignment 2: the program ended with status 9: no\n",
  });
});

Deno.test("worker run: a guardian reads in a workspace that was bound writable, and writes nothing", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const work = `${place.dir}/work`;
  await Deno.mkdir(work);
  await Deno.chmod(work, 0o777);
  await Deno.writeTextFile(`${work}/a.txt`, "one\n");
  const key = "placeholder-0123456789";
  const commands = ["cat a.txt", "touch x", "find . -fprint y"];
  const results: (string | undefined)[] = [];
  const models = startModels({
    keys: { anthropic: key, openai: key },
    script: ({ toolResults }) => {
      results.push(toolResults.at(-1));
      const command = commands[toolResults.length];
      return command === undefined ? say("reviewed") : call("bash", { command });
    },
  });
  const listener = forward(models.port);
  const { port } = listener.addr as Deno.NetAddr;
  const review = async (guardian_read_only: boolean) => {
    results.length = 0;
    await Deno.writeTextFile(
      `${place.dir}/spec.json`,
      JSON.stringify({
        identity: { child_id: "x", role: "guardian" },
        executor: { kind: "bamboo_runtime" },
        workspace: work,
        model: { provider: "mock", model: "claude-sonnet-4-5" },
        secrets: {
          provider_credentials: [{
            provider: "mock",
            api_key: key,
            base_url: `http://127.0.0.2:${port}`,
            provider_type: "anthropic",
          }],
        },
        capabilities: { guardian_read_only, bypass: true },
      }),
    );
    const done = await place.run([
      ...["run", "--rw", "work", "--spec", "spec.json", "--executor", "bamboo_runtime"],
      ...["--allow-host", `127.0.0.2:${port}`, "--assignment", "review it"],
    ]);
    assert.deepEqual([done.code, done.out], [0, "reviewed\n"], done.err);
    return [...Deno.readDirSync(work)].map(({ name }) => name).sort();
  };
  try {
    assert.deepEqual(await review(true), ["a.txt"]);
    assert.equal(results[1], "one");
    for (const result of results.slice(2)) assert.match(result!, /^refused: a reader runs only/);
    // Control: the same commands of a worker that is no guardian.
    assert.deepEqual(await review(false), ["a.txt", "x", "y"]);
  } finally {
    listener.close();
    await models.stop();
  }
});

Deno.test("worker run: whoever kills its parent ends its sandbox and all in it", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const mark = `61${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const child = place.spawn("run", "--assignment", "x", "--", "sleep", mark);
  try {
    await child.stdin.close();
    await eventually("its program runs", async () => {
      // The shell and the CLI have it among their arguments, too; the program has nothing else.
      for (const pid of await processes(mark)) {
        const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
        if (line === `/usr/bin/sleep\0${mark}\0`) return true;
      }
      throw new Error("not yet");
    });
  } finally {
    // Its shell became the parent.
    child.kill("SIGKILL");
    await child.status;
  }
  await eventually("nothing of it is left", async () => {
    const left = await processes(mark);
    if (left.length > 0) throw new Error(`${left}`);
    return true;
  });
  await child.stdout.cancel();
  await child.stderr.cancel();
});
