// SPDX-License-Identifier: Apache-2.0

/** Workers of workers in sandboxes of their own, from `bureau worker run`, by models that ask for them. */
import assert from "node:assert/strict";
import { call, say, type Script, startModels } from "../../src/agent/testing/model/mod.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually } from "../e2e/harness.ts";
import { unreachable } from "./reach.ts";
import { forward, Place, processes } from "./worker_place.ts";

const KEY = "placeholder-0123456789";

/** @param use runs a worker that may spawn with this assignment, in the directory `work` */
async function withSpawner(
  script: Script,
  use: (place: Place, args: (assignment: string) => string[]) => Promise<void>,
): Promise<void> {
  await using place = await Place.make();
  const work = `${place.dir}/work`;
  await Deno.mkdir(work);
  await Deno.chmod(work, 0o777);
  const models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  const listener = forward(models.port);
  const { port } = listener.addr as Deno.NetAddr;
  try {
    const credential = {
      provider: "mock",
      api_key: KEY,
      base_url: `http://127.0.0.2:${port}`,
      provider_type: "anthropic",
    };
    const spec = {
      executor: { kind: "bamboo_runtime" },
      workspace: work,
      model: { provider: "mock", model: "claude-sonnet-4-5" },
      secrets: { provider_credentials: [credential] },
      capabilities: { nested_spawn: true, max_spawn_depth: 3 },
    };
    await Deno.writeTextFile(`${place.dir}/spec.json`, JSON.stringify(spec));
    await use(place, (assignment) => [
      ...["run", "--rw", "work", "--spec", "spec.json"],
      ...["--allow-host", `127.0.0.2:${port}`, "--assignment", assignment],
    ]);
  } finally {
    listener.close();
    await models.stop();
  }
}

Deno.test("worker run: three levels of workers, each in a sandbox of its own with its own door alone", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  const offered: Record<string, boolean> = {};
  const script: Script = ({ tools, toolResults, lastText }) => {
    offered[lastText] = tools.includes("spawn_worker");
    // What it sees of where workers and their parent meet, then what it shares.
    const look = `echo $(cd /tmp/bureau-w.* && ls */* | grep -v json); echo ${lastText} >>notes`;
    if (toolResults.length === 0) return call("bash", { command: look });
    if (toolResults.length === 1 && lastText !== "3") {
      return call("spawn_worker", { assignment: `${Number(lastText) + 1}` });
    }
    return say(toolResults.join(" < "));
  };
  await withSpawner(script, async (place, args) => {
    const done = await place.run(args("1"));
    assert.deepEqual(done, {
      code: 0,
      out: "w0/spawn.door w0/w0.sock < n0/n0.sock n0/spawn.door < n1/n1.sock\n",
      err: "",
    });
    assert.deepEqual(offered, { 1: true, 2: true, 3: false });
    // The same mounts.
    assert.equal(await Deno.readTextFile(`${place.dir}/work/notes`), "1\n2\n3\n");
  });
});

Deno.test("worker run: whoever kills the parent leaves no worker's worker", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  const mark = `61${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const script: Script = ({ tools, lastText }) => {
    if (!tools.includes("spawn_worker")) return call("bash", { command: `sleep ${mark}` });
    return call("spawn_worker", { assignment: `${lastText} deeper` });
  };
  await withSpawner(script, async (place, args) => {
    const runs = async () => {
      for (const pid of await processes(mark)) {
        const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
        if (line === `sleep\0${mark}\0`) return true;
      }
      throw new Error("not yet");
    };
    const child = place.spawn(...args("go"));
    try {
      await child.stdin.close();
      await eventually("the third of them works", runs, 120_000);
    } finally {
      // Its shell became the parent.
      child.kill("SIGKILL");
      await child.status;
    }
    await eventually("nothing of any is left", async () => {
      const left = await processes(mark);
      if (left.length > 0) throw new Error(`${left}`);
      return true;
    });
    await child.stdout.cancel();
    await child.stderr.cancel();
    // What is only asked to end, ends them too.
    const asked = place.spawn(...args("go"));
    await asked.stdin.close();
    try {
      await eventually("the third of them works", runs, 120_000);
    } finally {
      asked.kill("SIGTERM");
    }
    const { code } = await asked.output();
    assert.equal(code, 1);
    assert.deepEqual(await processes(mark), []);
  });
});
