// SPDX-License-Identifier: Apache-2.0

/** Over real TLS on loopback; workers are real processes, without the sandbox that tests/escape/remote_test.ts adds. */
import assert from "node:assert/strict";
import { makeSelfMade, type SelfMade } from "../../lib/certificate/mod.ts";
import { sha256Hex } from "../../lib/canonical/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { freePort } from "../../../tests/e2e/harness.ts";
import type { WorkerLauncher } from "../parent/launch.ts";
import { fromSource, PATIENCE_MS, Rig } from "../parent/testing/rig.ts";
import { placeAtResident } from "../place/remote.ts";
import type { ProvisionInput } from "../provision/mod.ts";
import { RESIDENT_NAME } from "./api.ts";
import { startResident } from "./resident.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const log = createLogger("resident", {}, () => {});

/** A resident, and the way to it. */
class Bed implements AsyncDisposable {
  pin = "";
  port = 0;
  /** Of the workers that it started. */
  readonly pids: number[] = [];
  #stop: () => Promise<void> = () => Promise.resolve();
  private constructor(readonly rig: Rig, readonly identity: SelfMade) {}

  static async make(
    own: Partial<ProvisionInput> = {},
    { one_executor = false, launcher = fromSource, port = freePort() }: {
      one_executor?: boolean;
      launcher?: WorkerLauncher;
      port?: number;
    } = {},
  ): Promise<Bed> {
    const bed = new Bed(await Rig.make(), await makeSelfMade(RESIDENT_NAME, systemClock));
    const starting = startResident({
      version: 1,
      mode: "resident",
      listen: `127.0.0.1:${port}`,
      run_dir: bed.rig.dir,
      state_dir: bed.rig.dir,
      fabric_dir: `${bed.rig.dir}/f`,
      launcher: {},
      identity: bed.identity,
      token_sha256: await sha256Hex(TOKEN),
      token: null,
      own: JSON.parse(JSON.stringify(bed.rig.spec("own", own))),
      one_executor,
      binds: [{ dest: `${bed.rig.dir}/work`, mode: "rw" }, { dest: "/docs", mode: "ro" }],
      json: false,
    }, {
      async launch(spec) {
        const process = await launcher.launch(spec);
        bed.pids.push(process.pid);
        return process;
      },
    }, log);
    const { server, announced } = await starting.catch(async (thrown) => {
      await bed.rig[Symbol.asyncDispose]();
      throw thrown;
    });
    bed.#stop = () => server.stop();
    bed.port = server.port;
    bed.pin = announced.pin;
    return bed;
  }

  place(
    more: Partial<ProvisionInput> = {},
    way: { pin?: string; token?: string; port?: number; silenceSeconds?: number } = {},
  ) {
    const { silenceSeconds, pin = this.pin, token = TOKEN, port = this.port } = way;
    // Its own directory's name means nothing to the resident.
    const spec = { ...this.rig.spec("mine", more), fabric_dir: "/nowhere/of/the/caller" };
    return placeAtResident(
      {
        at: { host: "127.0.0.1", port },
        pin,
        token,
        socket: `${this.rig.dir}/${crypto.randomUUID().slice(0, 8)}.sock`,
      },
      spec,
      {
        answerMs: PATIENCE_MS,
        ...(silenceSeconds === undefined ? {} : { silenceSeconds }),
      },
    );
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    await this.rig[Symbol.asyncDispose]();
  }
}

async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") Z");
    if (/ [ZX]/.test(stat.slice(stat.lastIndexOf(")")))) return;
    assert.ok(Date.now() < deadline, `${pid} lives on`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Passes bytes on, and keeps those of the caller's; can be cut. */
function between(to: number) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const over = new AbortController();
  const sent: Uint8Array[] = [];
  // The first only looks at the certificate.
  void (async () => {
    for await (const from of listener) {
      const on = await Deno.connect({ hostname: "127.0.0.1", port: to });
      const { signal } = over;
      const seen = new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          sent.push(chunk.slice());
          controller.enqueue(chunk);
        },
      });
      void Promise.allSettled([
        from.readable.pipeThrough(seen, { signal }).pipeTo(on.writable, { signal }),
        on.readable.pipeTo(from.writable, { signal }),
      ]);
    }
  })().catch(() => {});
  return {
    port: listener.addr.port,
    sent,
    cut: () => over.abort(),
    [Symbol.dispose]() {
      listener.close();
      over.abort();
    },
  };
}

Deno.test("a worker of another machine is used over TLS, and is gone with its run", async () => {
  await using bed = await Bed.make();
  assert.match(bed.pin, /^sha256:[0-9a-f]{64}$/);
  const echo = await bed.place();
  const events: unknown[] = [];
  const outcome = await echo.run({ assignment: "one two" }, { onEvent: (e) => events.push(e) });
  assert.deepEqual(outcome, { status: "completed", result: "echo: one two" });
  assert.equal(events.length, 3);
  await echo.end();
  const cli = await bed.place({
    executor: { kind: "cli_adapter", command: "/bin/sh", args: ["-c", "read x; echo got $x"] },
  }, { pin: bed.pin.toUpperCase().replace("SHA256", "sha256") });
  assert.deepEqual(await cli.run({ assignment: "a task\n" }), {
    status: "completed",
    result: "got a task",
  });
  await cli.end();
  for (const pid of bed.pids) await gone(pid);
  assert.equal(bed.pids.length, 2);
});

Deno.test("nothing is said to whoever has another certificate, and a stranger gets nothing", async (t) => {
  await using bed = await Bed.make();
  const secret = "sk-live-0123456789abcdef";
  const secrets = { provider_credentials: [{ provider: "p", api_key: secret }] };
  await t.step("another pin", async () => {
    const pin = `sha256:${"0".repeat(64)}`;
    await assert.rejects(bed.place({ secrets }, { pin }), {
      code: "wrong-pin",
      message: `Cannot trust 127.0.0.1:${bed.port}: its certificate is ${bed.pin}, not ${pin}`,
    });
  });
  await t.step("somebody who shows the certificate, and has not its key", async () => {
    // Their own key and certificate, and behind them the pinned authority's, which is public.
    const other = await makeSelfMade(RESIDENT_NAME, systemClock);
    const [leaf] = other.certificate.split(/(?<=-----END CERTIFICATE-----\n)/);
    const got: string[] = [];
    const server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      cert: leaf + bed.identity.authority,
      key: other.key,
      onListen() {},
    }, (request) => {
      got.push(request.headers.get("authorization") ?? "");
      return new Response();
    });
    try {
      const { port } = server.addr as Deno.NetAddr;
      await assert.rejects(bed.place({ secrets }, { port }), { code: "no-answer" });
      assert.deepEqual(got, []);
    } finally {
      await server.shutdown();
    }
  });
  await t.step("another token", async () => {
    for (const token of ["another", `${TOKEN}0`, TOKEN.slice(1)]) {
      await assert.rejects(bed.place({ secrets }, { token }), { code: "unauthorized" });
    }
    assert.equal(bed.pids.length, 0);
  });
  await t.step("no TLS", async () => {
    const plain = await Deno.connect({ hostname: "127.0.0.1", port: bed.port });
    const request = `GET /v1/place HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`;
    await plain.write(new TextEncoder().encode(request));
    const answer = await new Response(plain.readable).text().catch(() => "");
    assert.equal(/HTTP/.test(answer), false, "it speaks no HTTP without TLS");
  });
  await t.step(
    "the control: on the way nobody reads, and the same bytes again are nothing",
    async () => {
      using way = between(bed.port);
      const worker = await bed.place({ secrets }, { port: way.port });
      await worker.run({ assignment: "x" });
      await worker.end();
      const sent = way.sent.map((bytes) => new TextDecoder("latin1").decode(bytes)).join("");
      assert.ok(sent.length > 500, "they were seen");
      for (const text of [secret, TOKEN, "provider_credentials"]) {
        assert.equal(sent.includes(text), false);
      }
      const again = await Deno.connect({ hostname: "127.0.0.1", port: bed.port });
      for (const bytes of way.sent) await again.write(bytes).catch(() => {});
      again.closeWrite().catch(() => {});
      await new Response(again.readable).bytes().catch(() => {});
      assert.equal(bed.pids.length, 1, "one placement, one worker");
    },
  );
});

Deno.test("the resident holds a spec to its own; what is not to be had is refused", async (t) => {
  await using bed = await Bed.make({
    limits: { run_timeout_secs: 1 },
    disabled_tools: ["Bash"],
    capabilities: { enforce_permissions: true },
  });
  const refused = (more: Partial<ProvisionInput>, what: RegExp) =>
    assert.rejects(bed.place(more), { code: "not-allowed", message: what });
  await t.step("rights and directories that it has not", async () => {
    await refused({ capabilities: { bypass: true } }, /bypass is not to be had there$/);
    await refused({ capabilities: { no_human_approver: true } }, /no_human_approver/);
    await refused({ capabilities: { nested_spawn: true } }, /nested_spawn/);
    await refused({ workspace: "/etc" }, /its workspace/);
    await refused({ workspace: `${bed.rig.dir}/worker` }, /its workspace/);
    await refused({ storage_dir: "/docs/x" }, /its storage_dir/);
    await refused({ capabilities: { skills_dir: "/root/skills" } }, /its skills_dir/);
    assert.equal(bed.pids.length, 0);
    const fine = await bed.place({
      workspace: `${bed.rig.dir}/work/a`,
      storage_dir: `${bed.rig.dir}/work`,
      capabilities: { skills_dir: "/docs/skills" },
    });
    await fine.end();
    assert.equal(bed.pids.length, 1, "the control");
  });
  await t.step("its limit, though the caller has none, nor watches", async () => {
    const worker = await bed.place();
    const outcome = await worker.run({ assignment: "__sleep_ms:600000 x" });
    assert.equal(outcome.status, "error");
    assert.match((outcome as { error: string }).error, /took longer than/);
    await worker.end();
  });
  await t.step("its restrictions, though the caller names none", async () => {
    // A plain program keeps none of them; the caller asked for none.
    const executor = { kind: "cli_adapter" as const, command: "/bin/cat", args: [] };
    await assert.rejects(bed.place({ executor }), {
      code: "exited-early",
      message: /enforce_perm/,
    });
  });
});

Deno.test("one executor, one model, its own credentials, where the resident says so", async () => {
  const own = { executor: { kind: "echo" as const }, model: { provider: "p", model: "m" } };
  await using bed = await Bed.make(own, { one_executor: true });
  const executor = { kind: "cli_adapter" as const, command: "/bin/cat", args: [] };
  await assert.rejects(bed.place({ executor }), { code: "not-allowed", message: /its executor/ });
  await assert.rejects(bed.place({ model: { provider: "p", model: "other" } }), {
    code: "not-allowed",
    message: /its model/,
  });
  const worker = await bed.place({ model: own.model });
  await worker.end();
});

Deno.test("a worker there that lacks a restriction is not used", async () => {
  // One of a version that knows none.
  const older: WorkerLauncher = {
    async launch(spec) {
      const process = await fromSource.launch(spec);
      const { Fabric } = await import("../fabric/mod.ts");
      const fabric = new Fabric(spec.fabric_dir);
      const publish = async () => {
        for (;;) {
          const record = await fabric.resolve(spec.identity.child_id);
          if (record !== null) return await fabric.publish({ ...record, enforces: [] });
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      return { ...process, give: async (bytes) => (await process.give(bytes), await publish()) };
    },
  };
  await using bed = await Bed.make({}, { launcher: older });
  await assert.rejects(bed.place({ limits: { max_rounds: 3 } }), {
    code: "not-enforced",
    message: /does not keep max_rounds/,
  });
  await gone(bed.pids[0]!);
  const worker = await bed.place();
  await worker.end();
});

Deno.test("whatever breaks in a run ends both sides, and leaves no worker", async (t) => {
  await using bed = await Bed.make();
  /** Says that it runs, and goes on for ever. */
  const executor = {
    kind: "cli_adapter" as const,
    command: "/bin/sh",
    args: ["-c", "echo on; exec sleep 600"],
  };
  await t.step("the connection is cut", async () => {
    using way = between(bed.port);
    const worker = await bed.place({ executor }, { port: way.port });
    const outcome = await worker.run({ assignment: "x" }, {
      onEvent: () => way.cut(),
    });
    assert.equal(outcome.status, "error");
    await gone(bed.pids.at(-1)!);
  });
  await t.step("the caller has heard nothing for its own time", async () => {
    const worker = await bed.place({}, { silenceSeconds: 1 });
    const outcome = await worker.run({ assignment: "__sleep_ms:600000 x" });
    assert.deepEqual(outcome, { status: "timeout", error: "nothing was heard of it for 1 s" });
    await gone(bed.pids.at(-1)!);
  });
  await t.step("the worker is killed", async () => {
    const worker = await bed.place({ executor });
    const pid = bed.pids.at(-1)!;
    const outcome = await worker.run({ assignment: "x" }, {
      onEvent: () => Deno.kill(pid, "SIGKILL"),
    });
    assert.deepEqual(outcome, { status: "error", error: "the worker ended by SIGKILL" });
    await worker.exited;
  });
  await t.step("more than there is room for are refused, and those who have it go on", async () => {
    const workers = await Promise.all(Array.from({ length: 8 }, () => bed.place()));
    await assert.rejects(bed.place(), { code: "busy" });
    assert.equal((await workers[0]!.run({ assignment: "x" })).status, "completed");
    for (const worker of workers) await worker.end();
    for (const pid of bed.pids) await gone(pid);
    await (await bed.place()).end();
  });
  await t.step("the address is another's", async () => {
    await assert.rejects(Bed.make({}, { port: bed.port }), {
      code: "not-listening",
      message: new RegExp(`^Cannot listen on "127.0.0.1:${bed.port}": `),
    });
  });
  await t.step("the resident ends", async () => {
    const worker = await bed.place({ executor });
    const outcome = await worker.run({ assignment: "x" }, {
      onEvent: () => void bed.stop(),
    });
    assert.equal(outcome.status, "error");
    for (const pid of bed.pids) await gone(pid);
    await assert.rejects(bed.place(), { code: "no-answer" });
  });
});
