// SPDX-License-Identifier: Apache-2.0

/** Workers of workers as real processes, from source; tests/escape/spawn_test.ts has them in their sandboxes. */
import assert from "node:assert/strict";
import { ParentError } from "../parent/errors.ts";
import type { WorkerLauncher } from "../parent/launch.ts";
import { PATIENCE_MS } from "../parent/testing/rig.ts";
import type { Worker } from "../parent/worker.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import { call, say, type Script, startModels } from "../testing/model/mod.ts";
import { askForWorker, Nest, SPAWN_TOOL } from "./mod.ts";
import { MAX_IN_RUN } from "./door.ts";
import { MAX_AT_ONCE } from "./nest.ts";
import { Tree, whileAtWork } from "./testing/tree.ts";

const KEY = "placeholder-0123456789";
const never = new AbortController().signal;

async function withModels(
  script: Script,
  use: (spec: Partial<ProvisionInput>) => Promise<void>,
): Promise<void> {
  const models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  try {
    await use({
      executor: { kind: "bamboo_runtime" },
      model: { provider: "mock", model: "claude-sonnet-4-5" },
      secrets: {
        provider_credentials: [{
          provider: "mock",
          api_key: KEY,
          base_url: `http://127.0.0.1:${models.port}`,
          provider_type: "anthropic",
        }],
      },
    });
  } finally {
    await models.stop();
  }
}

Deno.test("a model gives work to others, at one time, and has their answers; what they take is counted", async () => {
  // Neither answers before both were asked.
  const both = Promise.withResolvers<void>();
  const asked = new Set<string>();
  const script: Script = async ({ lastText, toolResults, tools }) => {
    if (lastText !== "top") {
      asked.add(lastText);
      if (asked.size === 2) both.resolve();
      await both.promise;
      return say(`${lastText} done${tools.includes("bash") ? "" : " without bash"}`);
    }
    if (toolResults.length > 0) return say(toolResults.join(" | "));
    return {
      kind: "say",
      tools: [
        { name: SPAWN_TOOL, input: { assignment: "one", role: "helper" } },
        { name: SPAWN_TOOL, input: { assignment: "two", disabled_tools: ["bash"] } },
      ],
    };
  };
  await using tree = await Tree.make();
  await withModels(script, async (spec) => {
    const events: { type: string; by?: string; usd?: number }[] = [];
    const identity = { child_id: "w0", role: "lead", depth: 1, project_key: "p" };
    const worker = await tree.start({ ...spec, identity, limits: { max_rounds: 2 } });
    const outcome = await worker.run({ assignment: "top" }, {
      onEvent: (event) => events.push(event as typeof events[number]),
    });
    const result = "one done | two done without bash";
    assert.deepEqual(outcome, { status: "completed", result });
    // Two rounds of its own, which were all that it had.
    const answers = events.filter(({ type }) => type === "usage").map(({ by }) => by ?? "own");
    assert.deepEqual(answers.toSorted(), ["n0", "n1", "own", "own"]);
    const costs = events.filter(({ type }) => type === "cost").map(({ usd }) => usd!);
    assert.equal(costs.length, 4);
    assert.deepEqual(costs, costs.toSorted((a, b) => a - b));
    assert.ok(costs[3]! > 3 * costs[0]!, "theirs are in the sum");
    const [, one, two] = tree.started;
    const children = [one!, two!].map(({ identity, limits, capabilities }) => ({
      ...identity,
      rounds: limits.max_rounds,
      max: capabilities.max_spawn_depth,
    })).toSorted((a, b) => a.role < b.role ? -1 : 1);
    const common = { parent_id: "w0", project_key: "p", depth: 2, rounds: 2, max: 4 };
    const names = children.map(({ child_id }) => child_id);
    assert.deepEqual(names.toSorted(), ["n0", "n1"]);
    assert.deepEqual(children, [
      { ...common, child_id: names[0]!, role: "helper" },
      { ...common, child_id: names[1]!, role: "lead" },
    ]);
  });
  assert.deepEqual(await tree.left(), []);
});

Deno.test("levels down to max_spawn_depth, and none below", async () => {
  const script: Script = ({ tools, toolResults, lastText }) => {
    if (toolResults.length > 0) return say(`${lastText} < ${toolResults[0]}`);
    const next = `${Number(lastText) + 1}`;
    return tools.includes(SPAWN_TOOL) ? call(SPAWN_TOOL, { assignment: next }) : say(lastText);
  };
  await using tree = await Tree.make();
  await withModels(script, async (spec) => {
    const worker = await tree.start({ ...spec, capabilities: { max_spawn_depth: 3 } });
    const outcome = await worker.run({ assignment: "1" });
    assert.deepEqual(outcome, { status: "completed", result: "1 < 2 < 3" });
    assert.deepEqual(tree.started.map(({ identity }) => [identity.parent_id, identity.depth]), [
      [undefined, 1],
      ["w0", 2],
      ["n0", 3],
    ]);
    assert.equal(tree.started[2]!.capabilities.spawn_endpoint, undefined);
  });
  assert.deepEqual(await tree.left(), []);
});

Deno.test("whatever a worker says of its child, the child has no more than it, and no other place", async () => {
  await using tree = await Tree.make();
  const worker = await tree.start({
    disabled_tools: ["bash"],
    secrets: { provider_credentials: [{ provider: "a", api_key: KEY }] },
  });
  await whileAtWork(worker, async (ask) => {
    const capabilities = [
      { bypass: true },
      { no_human_approver: true },
      { mcp: { a: {} } },
      { skills_dir: "/s" },
      { mcp_proxy: { orchestrator: "o", endpoint: "unix:/e", token: "t" } },
    ];
    const wishes: Partial<ProvisionInput>[] = [
      ...capabilities.map((each) => ({ capabilities: each })),
      { secrets: { provider_credentials: [{ provider: "a", api_key: "another's" }] } },
    ];
    for (const wish of wishes) await assert.rejects(ask(wish), { code: "not-allowed" });
    // A program would not be kept from what its tools are.
    const program = { kind: "cli_adapter" as const, command: "sh", args: [] };
    await assert.rejects(ask({ executor: program }), { code: "exited-early" });
    const remote = { kind: "remote" as const, endpoint: "wss://elsewhere" };
    await assert.rejects(ask({ placement: remote }), { code: "bad-placement" });
    // The control: what is not forbidden it has; what is said of it counts for nothing.
    const child = await ask({
      identity: { child_id: "../w0", parent_id: "root", depth: 0, project_key: "x" },
      fabric_dir: worker.spec.fabric_dir,
      capabilities: { nested_spawn: true, max_spawn_depth: 99, spawn_endpoint: "unix:///else" },
    });
    const spec = tree.started.at(-1)!;
    assert.deepEqual(JSON.parse(JSON.stringify(spec.identity)), {
      child_id: child.record.agent_id,
      parent_id: "w0",
      role: "",
      depth: 2,
    });
    assert.deepEqual(spec.disabled_tools, ["bash"]);
    assert.equal(spec.fabric_dir, `${tree.rig.dir}/n/${child.record.agent_id}`);
    assert.equal(spec.capabilities.max_spawn_depth, 4);
    assert.equal(spec.capabilities.spawn_endpoint, `unix://${spec.fabric_dir}/spawn.door`);
    assert.equal((await Deno.stat(`${spec.fabric_dir}/spawn.door`)).mode! & 0o777, 0o600);
    const outcome = await child.run({ assignment: "hello" });
    assert.deepEqual(outcome, { status: "completed", result: "echo: hello" });
    await child.end();
  });
  const deep = await Tree.make();
  try {
    const low = await deep.start({ identity: { child_id: "w0", depth: 4 } });
    await whileAtWork(low, async (ask) => {
      const depth = { child_id: "c", depth: 0 };
      await assert.rejects(ask({ identity: depth }), { code: "too-deep" });
    });
  } finally {
    await deep[Symbol.asyncDispose]();
  }
});

Deno.test("without a run nobody is asked for; its end is theirs, and so is the worker's", async () => {
  await using tree = await Tree.make();
  const worker = await tree.start({ reusable: true });
  const endpoint = worker.spec.capabilities.spawn_endpoint!;
  const idle = askForWorker(worker.spec, { ...worker.spec, version: 1 }, never);
  await assert.rejects(idle, { code: "not-allowed" });
  let child: Worker | null = null;
  let grandchild: Worker | null = null;
  let run: Promise<unknown> = Promise.resolve();
  await whileAtWork(worker, async (ask) => {
    child = await ask({ capabilities: { nested_spawn: true } });
    run = child.run({ assignment: "__sleep_ms:600000 x" });
    const spec = tree.started.at(-1)!;
    // Nobody with another's token: not even its parent.
    const secrets = worker.spec.secrets;
    await assert.rejects(askForWorker({ ...spec, secrets }, { ...spec, version: 1 }, never), {
      code: "no-answer",
    });
    // It is asked in a run alone, and its own has only begun.
    for (const deadline = Date.now() + PATIENCE_MS; grandchild === null;) {
      grandchild = await askForWorker(spec, {
        ...{ version: 1, identity: { child_id: "g" }, executor: { kind: "echo" } },
        fabric_dir: "/f",
      }, never).catch((thrown) => {
        if (thrown.code !== "not-allowed" || Date.now() > deadline) throw thrown;
        return null;
      });
    }
    assert.equal((await tree.left()).length, 2);
  });
  await Promise.all([child!, grandchild!].map(({ exited }: Worker) => exited));
  await run;
  assert.deepEqual(await tree.left(), []);
  await assert.rejects(Deno.stat(endpoint.slice("unix://".length)), Deno.errors.NotFound);
});

/** Of this command line alone. */
async function isRunning(commandLine: string): Promise<boolean> {
  for await (const { name } of Deno.readDir("/proc")) {
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.replaceAll("\0", " ").trim() === commandLine) return true;
  }
  return false;
}

Deno.test("whoever cancels the one above ends what those below have started", async () => {
  const sleep = `sleep 61${crypto.getRandomValues(new Uint32Array(1))[0]}`;
  const script: Script = ({ lastText, tools }) => {
    if (lastText === "bottom" || !tools.includes(SPAWN_TOOL)) {
      return call("bash", { command: sleep });
    }
    return call(SPAWN_TOOL, { assignment: lastText === "top" ? "middle" : "bottom" });
  };
  await using tree = await Tree.make();
  await withModels(script, async (spec) => {
    const worker = await tree.start(spec);
    const stop = new AbortController();
    const run = worker.run({ assignment: "top" }, { signal: stop.signal });
    for (const deadline = Date.now() + PATIENCE_MS; !await isRunning(sleep);) {
      assert.ok(Date.now() < deadline, "it does not begin");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    stop.abort();
    assert.deepEqual(await run, { status: "cancelled" });
    assert.deepEqual(await tree.left(), []);
    assert.equal(await isRunning(sleep), false);
  });
});

Deno.test("questions of those below go to whoever answers the one above, and past it", async () => {
  const script: Script = ({ lastText, toolResults }) => {
    if (toolResults.length > 0) return say(toolResults[0]!);
    if (lastText === "top") return call(SPAWN_TOOL, { assignment: "child" });
    return call("bash", { command: "echo ran" });
  };
  for (const answer of [true, false]) {
    await using tree = await Tree.make();
    await withModels(script, async (spec) => {
      const worker = await tree.start({ ...spec, capabilities: { enforce_permissions: true } });
      const asked: string[] = [];
      const outcome = await worker.run({ assignment: "top" }, {
        onApproval: (body) => {
          const { tool_name } = body as { tool_name: string };
          asked.push(tool_name);
          // That there is a child is a question, too.
          return Promise.resolve(tool_name === SPAWN_TOOL || answer);
        },
      });
      assert.deepEqual(asked, [SPAWN_TOOL, "bash"]);
      const result = answer ? "ran" : "refused: denied by the host";
      assert.deepEqual(outcome, { status: "completed", result });
    });
  }
});

Deno.test("so many at one time, and so many in a run", async () => {
  await using tree = await Tree.make();
  const worker = await tree.start();
  await whileAtWork(worker, async (ask) => {
    const all = await Promise.all(Array.from({ length: MAX_AT_ONCE }, () => ask({})));
    await assert.rejects(ask({}), { code: "too-many", message: /8 are at work already/ });
    await all[0]!.end();
    // Who left has left, whenever its place is free.
    for (const deadline = Date.now() + PATIENCE_MS;;) {
      const next = await ask({}).catch((thrown) => {
        if (thrown.code !== "too-many" || Date.now() > deadline) throw thrown;
        return null;
      });
      if (next !== null) break;
    }
  });
  assert.deepEqual(await tree.left(), []);
  const nowhere: WorkerLauncher = {
    launch: () => {
      throw new ParentError("exited-early", "it does not start");
    },
  };
  const nest = new Nest({ launcher: nowhere, dir: `${tree.rig.dir}/x` });
  await Deno.mkdir(`${tree.rig.dir}/y`);
  const door = await nest.open({ ...worker.spec, fabric_dir: `${tree.rig.dir}/y` });
  door.begin({ approve: () => Promise.resolve(false), hear: () => {} });
  const child = tree.rig.spec("c");
  for (let n = 0; n < MAX_IN_RUN; n++) {
    await assert.rejects(door.spawn(child), { code: "exited-early" });
  }
  await assert.rejects(door.spawn(child), { code: "too-many", message: /64 came of this run/ });
  await door.end();
  door.begin({ approve: () => Promise.resolve(false), hear: () => {} });
  await assert.rejects(door.spawn(child), { code: "exited-early" });
  await door.close();
});
