// SPDX-License-Identifier: Apache-2.0

/**
 * Many workers in real sandboxes: eight at a time, and two hundred assignments over four that are kept warm; and one that
 * waits with a network, a model and workers of its own.
 */
import assert from "node:assert/strict";
import { placeOnHost } from "../../src/agent/host/client.ts";
import type { ProvisionInput } from "../../src/agent/provision/mod.ts";
import { call, say, startModels } from "../../src/agent/testing/model/mod.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { unreachable } from "../escape/reach.ts";
import { forward, Place } from "../escape/worker_place.ts";

const ASSIGNMENTS = 200;
const WARM = 4;

async function shared(place: Place): Promise<string> {
  const dir = `${place.dir}/work`;
  await Deno.mkdir(dir);
  await Deno.chmod(dir, 0o777);
  return dir;
}

Deno.test("eight workers at a time: each waits in its sandbox until it has seen all the others", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const dir = await shared(place);
  const script = `read n; touch ${dir}/$n
    while [ $(ls ${dir} | wc -l) -lt 8 ]; do sleep 0.1; done; echo $n saw $(ls ${dir} | wc -l)`;
  const input = Array.from({ length: 8 }, (_, n) => `${n}\n`);
  const all = await place.run(
    ["pool", "--size", "8", "--rw", "work", "--", "sh", "-c", script],
    input.join(""),
  );
  assert.deepEqual(all, {
    code: 0,
    out: input.map((n) => `${n.trim()} saw 8\n`).join(""),
    err: "",
  });
});

Deno.test("two hundred assignments over four warm workers: each has its own answer, and nothing of another's", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using place = await Place.make();
  const host_dir = await place.hostDir();
  const pool = "warm";
  // Its home and its temporary directory are new for each run; the process around it is one of four.
  const script =
    `read word; ls -A $HOME $TMPDIR; env | grep -c LEAK; echo $word; echo $word >$HOME/x
    echo $word >$TMPDIR/x; export LEAK=$word; cd $TMPDIR`;
  const command = ["sh", "-c", script];
  try {
    const spawned = await place.run([
      "spawn",
      "--pool",
      pool,
      "--size",
      String(WARM),
      "--",
      ...command,
    ]);
    assert.deepEqual(spawned, { code: 0, out: `${pool}\n`, err: "" });
    const spec: ProvisionInput = {
      version: 1,
      identity: { child_id: "x" },
      executor: { kind: "cli_adapter", command: "sh", args: ["-c", script] },
      fabric_dir: "/",
      placement: { kind: "schedulable", pool },
    };
    const one = async (n: number) => {
      const worker = await placeOnHost({ host_dir, name: null }, spec);
      const events: unknown[] = [];
      const outcome = await worker.run({ assignment: `word-${n}\n` }, {
        onEvent: (event) => events.push(event),
      });
      await worker.leave();
      assert.equal(outcome.status, "completed", JSON.stringify(outcome));
      const text = outcome.status === "completed" ? outcome.result : "";
      assert.deepEqual(text.match(/word-\d+/g), [`word-${n}`], text);
      assert.ok(!text.includes("x\n"), text);
      for (const event of events) {
        const words = JSON.stringify(event).match(/word-\d+/g) ?? [];
        assert.ok(words.every((word) => word === `word-${n}`));
      }
      return worker.record.agent_id;
    };
    const on = await Promise.all(Array.from({ length: ASSIGNMENTS }, (_, n) => one(n)));
    assert.equal(new Set(on).size, WARM);
    const listed = await place.run(["list", "--json"]);
    const { workers } = JSON.parse(listed.out);
    const runs = workers.reduce((sum: number, each: { runs: number }) => sum + each.runs, 0);
    assert.deepEqual([workers.length, runs], [WARM, ASSIGNMENTS], "the very four did them all");
  } finally {
    await place.run(["stop", "--all", "--yes"]);
  }
});

Deno.test("worker spawn: one with a network and a model keeps both, has workers of its own, and no run's words in the next", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  const key = "placeholder-0123456789";
  const models = startModels({
    keys: { anthropic: key, openai: key },
    script: ({ tools, toolResults, lastText }) => {
      if (lastText === "touch" && toolResults.length === 0) {
        return call("bash", { command: "touch x" });
      }
      if (lastText === "touch") return say(toolResults.join());
      if (!tools.includes("spawn_worker")) return say(`the other has ${lastText}`);
      return toolResults.length === 0
        ? call("spawn_worker", { assignment: `part of ${lastText}` })
        : say(toolResults.join());
    },
  });
  const listener = forward(models.port);
  const { port } = listener.addr as Deno.NetAddr;
  try {
    await using place = await Place.make();
    try {
      const spec = (capabilities: Record<string, unknown>) =>
        Deno.writeTextFile(
          `${place.dir}/spec.json`,
          JSON.stringify({
            executor: { kind: "bamboo_runtime" },
            model: { provider: "mock", model: "claude-sonnet-4-5" },
            secrets: {
              provider_credentials: [{
                provider: "mock",
                api_key: key,
                base_url: `http://127.0.0.2:${port}`,
                provider_type: "anthropic",
              }],
            },
            capabilities,
          }),
        );
      await Deno.mkdir(`${place.dir}/work`);
      await Deno.chmod(`${place.dir}/work`, 0o777);
      const spawn = async (name: string, capabilities: Record<string, unknown>) => {
        await spec(capabilities);
        const spawned = await place.run([
          ...["spawn", name, "--spec", "spec.json", "--rw", "work"],
          ...["--allow-host", `127.0.0.2:${port}`],
        ]);
        assert.deepEqual(spawned, { code: 0, out: `${name}\n`, err: "" });
      };
      await spawn("lead", { nested_spawn: true, max_spawn_depth: 2 });
      for (const word of ["apples", "pears"]) {
        const done = await place.run(["run", "--worker", "lead", "--assignment", word]);
        assert.deepEqual(done, { code: 0, out: `the other has part of ${word}\n`, err: "" });
      }
      await spawn("careful", { enforce_permissions: true });
      const asked = await place.run(["run", "--worker", "careful", "--assignment", "touch"]);
      assert.match(
        asked.err,
        /^denied: careful: bash: touch x$/m,
        "its question came to who ran it",
      );
      assert.deepEqual([asked.code, asked.out], [0, "refused: denied by the host\n"]);
      const heard = models.requests.map(({ body }) => body);
      assert.ok(heard.some((body) => body.includes("pears")), "the control");
      assert.ok(!heard.some((body) => body.includes("pears") && body.includes("apples")));
    } finally {
      await place.run(["stop", "--all", "--yes"]);
    }
  } finally {
    listener.close();
    await models.stop();
  }
});
