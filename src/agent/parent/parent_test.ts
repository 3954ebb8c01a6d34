// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Fabric } from "../fabric/mod.ts";
import { WorkerConnection } from "./connection.ts";
import type { ParentError } from "./errors.ts";
import { ChildLauncher, type WorkerLauncher } from "./launch.ts";
import { call, say, startModels, turns } from "../testing/model/mod.ts";
import { fromSource, PATIENCE_MS, Rig } from "./testing/rig.ts";

const SECRET = "sk-live-0123456789abcdef";
const secrets = { provider_credentials: [{ provider: "anthropic", api_key: SECRET }] };

/** A shell instead of a worker: what it reads and writes is the test's. */
const shell = (script: string): WorkerLauncher =>
  new ChildLauncher(() => ({
    program: "/bin/sh",
    args: ["-c", script],
    env: { PATH: "/usr/bin:/bin" },
  }));

async function until(isSo: () => Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!await isSo()) {
    assert.ok(Date.now() < deadline, otherwise);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const exists = (path: string) => Deno.lstat(path).then(() => true, () => false);

Deno.test("a worker gets its spec, says that it is there, runs an assignment, and is gone", async () => {
  await using rig = await Rig.make();
  const worker = await rig.start(rig.spec("c1", { secrets }));
  assert.deepEqual(
    { ...worker.record, pid: 0, started_at: "", lease_expires_at: "", version: "" },
    {
      agent_id: "c1",
      role: "tester",
      labels: [],
      endpoint: `unix://${rig.dir}/f/c1.sock`,
      pid: 0,
      version: "",
      started_at: "",
      lease_expires_at: "",
      enforces: [
        "disabled_tools",
        "max_rounds",
        "enforce_permissions",
        "guardian_read_only",
        "max_spawn_depth",
      ],
    },
  );
  // Where others could read it there is nothing of it.
  const proc = `/proc/${worker.pid}`;
  const [args, env] = await Promise.all(
    ["cmdline", "environ"].map((name) => Deno.readTextFile(`${proc}/${name}`)),
  );
  const files = await Promise.all(
    (await Array.fromAsync(Deno.readDir(`${rig.dir}/f`)))
      .filter(({ isFile }) => isFile)
      .map(({ name }) => Deno.readTextFile(`${rig.dir}/f/${name}`)),
  );
  assert.equal(files.length, 1, "the control: its record is there to be looked into");
  for (const text of [args!, env!, ...files]) {
    assert.ok(text.length > 0);
    assert.equal(text.includes(SECRET), false);
    assert.equal(text.includes(worker.spec.secrets.worker_auth_token!), false);
  }
  const events: unknown[] = [];
  const outcome = await worker.run({ assignment: "one  two\n" }, {
    onEvent: (e) => events.push(e),
  });
  assert.deepEqual(outcome, { status: "completed", result: "echo: one two" });
  assert.deepEqual(events, [
    { type: "token", content: "one " },
    { type: "token", content: "two " },
    { type: "complete" },
  ]);
  // One run is all that it was for.
  assert.equal((await worker.exited).how, "with status 0");
  assert.equal(await exists(`${rig.dir}/f/c1.json`), false);
  assert.equal(await exists(`${rig.dir}/f/c1.sock`), false);
});

Deno.test("a reusable worker serves run after run, one parent at a time, until nobody comes", async () => {
  await using rig = await Rig.make();
  const worker = await rig.start(
    rig.spec("c2", { reusable: true, limits: { idle_timeout_secs: 1 } }),
  );
  const token = worker.spec.secrets.worker_auth_token!;
  const held = await WorkerConnection.open({ record: worker.record, token });
  const long = held.run({ assignment: "__sleep_ms:600000 x" });
  await assert.rejects(WorkerConnection.open({ record: worker.record, token }), {
    code: "refused",
  });
  held.cancel();
  assert.deepEqual(await long, { status: "cancelled" });
  assert.deepEqual(await held.run({ assignment: "a" }), { status: "completed", result: "echo: a" });
  // Another assignment on the same connection.
  assert.deepEqual(await held.run({ assignment: "b" }), { status: "completed", result: "echo: b" });
  // Refused for what it says, not for who is there: that comes after it.
  await assert.rejects(
    WorkerConnection.open({ record: worker.record, token: "another" }),
    ({ code, cause }: ParentError) => code === "refused" && /401/.test(String(cause)),
  );
  held.close();
  const { how } = await worker.exited;
  assert.equal(how, "with status 0");
});

Deno.test("a run that is cancelled, late or silent ends with its worker", async () => {
  await using rig = await Rig.make();
  const cancelled = await rig.start(rig.spec("a", { reusable: true }));
  const stop = new AbortController();
  const run = cancelled.run({ assignment: "__sleep_ms:600000 x" }, { signal: stop.signal });
  stop.abort();
  assert.deepEqual(await run, { status: "cancelled" });
  assert.equal((await cancelled.exited).how, "by SIGKILL");
  assert.equal(cancelled.isReusable, false);

  const late = await rig.start(rig.spec("b", { limits: { run_timeout_secs: 1 } }));
  const outcome = await late.run({ assignment: "__sleep_ms:600000 x" });
  // Whoever was first of the two: the worker keeps its limit, and its parent does not rely on that.
  assert.match(outcome.status, /^(timeout|error)$/);
  assert.match((outcome as { error: string }).error, /took longer than/);

  const silent = await rig.start(rig.spec("c"), { silenceSeconds: 1 });
  const nothing = await silent.run({ assignment: "__sleep_ms:600000 x" });
  assert.deepEqual(nothing, { status: "timeout", error: "nothing was heard of it for 1 s" });
  await silent.exited;
  assert.equal(await exists(`${rig.dir}/f/c.json`), false, "withdrawn for it");
});

Deno.test("a worker that dies in a run says what it can, without secrets", async () => {
  await using rig = await Rig.make();
  const worker = await rig.start(rig.spec("a", { secrets }));
  const run = worker.run({ assignment: "__sleep_ms:600000 x" }, {
    onStart: () => Deno.kill(worker.pid, "SIGKILL"),
  });
  assert.deepEqual(await run, { status: "error", error: "the worker ended by SIGKILL" });

  const leaky = shell(`printf 'cannot use key %s' ${SECRET} >&2; cat >/dev/null; exit 3`);
  await assert.rejects(rig.start(rig.spec("b", { secrets }), { launcher: leaky }), {
    code: "exited-early",
    message: 'Cannot use the worker "b": it ended before it registered, with status 3: ' +
      "cannot use key [redacted]",
  });
  // It never read the spec.
  await assert.rejects(rig.start(rig.spec("c"), { launcher: shell("exec <&-; exit 4") }), {
    code: "exited-early",
  });
});

Deno.test("whoever does not register in time is ended, with all that it started", async () => {
  await using rig = await Rig.make();
  const pids = `${rig.dir}/pids`;
  const script = shell(`sleep 600 & echo $! >${pids}.new; mv ${pids}.new ${pids}; wait`);
  const launcher: WorkerLauncher = {
    async launch(spec) {
      const process = await script.launch(spec);
      return { ...process, give: () => until(() => exists(pids), "it never began") };
    },
  };
  const starting = rig.start(rig.spec("a"), { launcher, registrationMs: 2_000 });
  await assert.rejects(starting, { code: "not-registered" });
  const pid = Number(await Deno.readTextFile(pids));
  const isGone = async () => {
    const state = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") Z");
    return / [ZX]/.test(state.slice(state.lastIndexOf(")")));
  };
  await until(isGone, "its child lives on");
});

Deno.test("a record is a claim: what answers there must have the spec", async () => {
  await using rig = await Rig.make();
  const fabric = new Fabric(`${rig.dir}/f`);
  await fabric.open();
  const socket = await fabric.socketPath("a");
  const server = Deno.serve(
    { path: socket, onListen() {} },
    () => Response.json({ agent_id: "a", proof: "00" }),
  );
  const claim = () =>
    fabric.publish({
      agent_id: "a",
      role: "",
      labels: [],
      endpoint: `unix://${socket}`,
      pid: 1,
      version: "",
      started_at: new Date().toISOString(),
      lease_expires_at: new Date(Date.now() + 60_000).toISOString(),
      enforces: [],
    });
  await claim();
  const launcher = shell("cat >/dev/null; sleep 600");
  await assert.rejects(rig.start(rig.spec("a"), { launcher }), { code: "impostor" });
  await server.shutdown();
  await claim();
  await assert.rejects(rig.start(rig.spec("a"), { launcher }), { code: "no-answer" });
});

Deno.test("a worker that lacks a restriction of its spec is not used", async () => {
  await using rig = await Rig.make();
  const executor = { kind: "cli_adapter" as const, command: "/bin/cat", args: [] };
  await assert.rejects(rig.start(rig.spec("a", { executor, disabled_tools: ["Bash"] })), {
    code: "exited-early",
    message: /it would not keep disabled_tools/,
  });
  // Nor is an older one, which does not know of it: it says nothing.
  const fabric = new Fabric(`${rig.dir}/f`);
  const older: WorkerLauncher = {
    async launch(spec) {
      const process = await fromSource.launch(spec);
      const publish = async () => {
        for (;;) {
          const record = await fabric.resolve("b");
          if (record !== null) return await fabric.publish({ ...record, enforces: [] });
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      // Before the parent looks.
      return { ...process, give: async (spec) => (await process.give(spec), await publish()) };
    },
  };
  const limits = { max_rounds: 3 };
  await assert.rejects(rig.start(rig.spec("b", { limits }), { launcher: older }), {
    code: "not-enforced",
    message: /does not keep max_rounds/,
  });
});

Deno.test("Bureau's own agent works in a worker's process, with what its spec grants", async () => {
  await using rig = await Rig.make();
  const script = turns(
    call("write", { path: "a.txt", content: "from a worker" }),
    call("bash", { command: "cat a.txt" }),
    ({ toolResults }) => say(`it holds ${toolResults.at(-1)}`),
  );
  const models = startModels({ script, keys: { anthropic: SECRET, openai: SECRET } });
  try {
    await Deno.mkdir(`${rig.dir}/work`);
    const worker = await rig.start(rig.spec("a", {
      executor: { kind: "bamboo_runtime" },
      workspace: `${rig.dir}/work`,
      model: { provider: "mock", model: "claude-sonnet-4-5" },
      limits: { max_rounds: 5 },
      secrets: {
        provider_credentials: [{
          provider: "mock",
          api_key: SECRET,
          base_url: `http://127.0.0.1:${models.port}`,
          provider_type: "anthropic",
        }],
      },
    }));
    const types = new Set<string>();
    const outcome = await worker.run({ assignment: "do it" }, {
      onEvent: (event) => types.add((event as { type: string }).type),
    });
    assert.deepEqual(outcome, { status: "completed", result: "it holds from a worker" });
    assert.equal(await Deno.readTextFile(`${rig.dir}/work/a.txt`), "from a worker");
    for (const type of ["usage", "tool_call", "tool_result"]) assert.ok(types.has(type), type);
  } finally {
    await models.stop();
  }
});

Deno.test("a worker that is to be elsewhere is not started here instead", async () => {
  await using rig = await Rig.make();
  const launcher: WorkerLauncher = { launch: () => assert.fail("it was started") };
  for (
    const placement of [
      { kind: "remote" as const, endpoint: "wss://gpu-host:8443" },
      { kind: "schedulable" as const, pool: "gpu" },
    ]
  ) {
    await assert.rejects(rig.start(rig.spec("a", { placement }), { launcher }), {
      code: "bad-placement",
    });
  }
});

Deno.test("a spec that can't be used is told by the worker's status and words", async () => {
  await using rig = await Rig.make();
  const bamboo = rig.spec("a", { executor: { kind: "bamboo_runtime" } });
  await assert.rejects(rig.start(bamboo), /with status 2: .*the spec has no model/);
});
