// SPDX-License-Identifier: Apache-2.0

/** Health checks in real sandboxes, and what a launcher does by itself when one fails. */
import assert from "node:assert/strict";
import { BureauError } from "../../lib/errors.ts";
import { type HealthCheck, HealthCheck as Schema } from "../../lib/schema/health.ts";
import type { Template } from "../../lib/schema/events.ts";
import { type Bed, eventually, withLauncher } from "../testing/harness.ts";

const QUICK = { interval_seconds: 1, failure_threshold: 2, grace_period_seconds: 60 };
const IDLE = "exec sleep 1000";
/** On a machine that runs eight of these at once. */
const PATIENT = 90_000;

const healthy = (bed: Bed, name: string, state: "starting" | "healthy" | "unhealthy") =>
  eventually(`${name} is ${state}`, async () => {
    const status = await bed.show(name);
    return status.health?.state === state ? status : null;
  }, PATIENT);

async function templateOf(
  bed: Bed,
  name: string,
  script: string,
  health: HealthCheck,
): Promise<Template> {
  return { ...await bed.template(name, script), health };
}

async function make(bed: Bed, name: string, template: Template) {
  return await bed.create(name, await bed.request(name, { template }));
}

Deno.test("a health check says exactly one thing, in bounds", () => {
  const http = { socket: "/tmp/s" };
  for (
    const check of [
      { command: ["true"] },
      { http },
      { http: { port: 80, path: "/x" }, timeout_seconds: 60 },
      { file: { path: "/workspace/alive", max_age_seconds: 5 }, grace_period_seconds: 0 },
    ]
  ) assert.ok(Schema.safeParse(check).success, JSON.stringify(check));
  for (
    const check of [
      {},
      { command: [] },
      { command: ["true"], http },
      { http: {} },
      { http: { socket: "/s", port: 80 } },
      { http: { port: 0 } },
      { http: { socket: "s" } },
      { file: { path: "alive", max_age_seconds: 5 } },
      { file: { path: "/alive", max_age_seconds: 0 } },
      { command: ["true"], interval_seconds: 0 },
      { command: ["true"], interval_seconds: 0.5 },
      { command: ["true"], timeout_seconds: 61 },
      { command: ["true"], failure_threshold: 0 },
      { command: ["true"], grace_period_seconds: 3_601 },
    ]
  ) assert.ok(!Schema.safeParse(check).success, JSON.stringify(check));
});

Deno.test("each kind of check tells whether the agent works, from inside its sandbox", async () => {
  await withLauncher(async (bed) => {
    const checks: [string, string, HealthCheck][] = [
      // It sees what the agent sees, and nothing of the host.
      ["command", `touch /tmp/up; ${IDLE}`, {
        ...QUICK,
        command: ["/bin/sh", "-c", "[ -e /tmp/up ] && [ $(id -u) = 1000 ] && ! [ -e /cell ]"],
      }],
      ["file", "while :; do touch /tmp/alive; sleep 1; done", {
        ...QUICK,
        file: { path: "/tmp/alive", max_age_seconds: 30 },
      }],
      // The proxy is an HTTP server in every sandbox.
      ["http", IDLE, {
        ...QUICK,
        http: { socket: "/run/bureau/proxy.sock", path: "/v1/identity" },
      }],
      // A word of many quotes stays a word.
      ["quoted", IDLE, { ...QUICK, command: ["test", `'"$(x)\`; `, "=", `'"$(x)\`; `] }],
    ];
    await Promise.all(
      checks.map(async ([name, script, check]) =>
        await make(bed, name, await templateOf(bed, name, script, check))
      ),
    );
    for (const [name] of checks) await healthy(bed, name, "healthy");
    const refused = await templateOf(bed, "refused", IDLE, {
      ...QUICK,
      grace_period_seconds: 0,
      http: { socket: "/run/bureau/proxy.sock", path: "/http/none/x" },
    });
    await make(bed, "refused", refused);
    assert.match((await bed.wait("refused")).reason!, /\(status 22\)$/);
    // Nothing of it is in the agent's way.
    const fds = await bed.template(
      "fds",
      "ls /proc/self/fd | tr '\\n' ' ' >fds.new; mv fds.new fds; exec sleep 1000",
    );
    await make(bed, "fds", { ...fds, health: { ...QUICK, command: ["true"] } });
    assert.equal(await bed.read("fds", "fds"), "0 1 2 3 ");
  });
});

Deno.test("an agent that stops working is ended as failed, and without a good spec before it nothing else", async () => {
  await withLauncher(async (bed) => {
    const template = await templateOf(
      bed,
      "sick",
      "touch /tmp/alive; until [ -e sick ]; do sleep 0.1; done; rm /tmp/alive; trap 'exit 0' TERM; while :; do sleep 0.1; done",
      { ...QUICK, command: ["test", "-e", "/tmp/alive"] },
    );
    const first = await make(bed, "sick", template);
    await healthy(bed, "sick", "healthy");
    await Deno.writeTextFile(`${bed.dir}/state/workspaces/sick/sick`, "");
    const exit = await bed.wait("sick");
    // It chose status 0, which is none of a success.
    assert.equal(exit.code, 1);
    assert.match(exit.reason!, /^its health check failed [2-9] times in a row \(status 1\)$/);
    const status = await bed.show("sick");
    assert.deepEqual([status.phase, status.health], ["exited", undefined]);
    await Deno.remove(`${bed.dir}/state/workspaces/sick/sick`);
    const second = await make(bed, "sick", template);
    assert.equal(second.spec_digest, first.spec_digest);
    assert.equal(second.rolled_back, undefined);
  });
});

Deno.test("an agent that ignores SIGTERM, or ends its own check, is given up too", async () => {
  await withLauncher(async (bed) => {
    const stubborn = await templateOf(
      bed,
      "stubborn",
      "trap '' TERM; while :; do sleep 0.1; done",
      { ...QUICK, grace_period_seconds: 0, command: ["false"] },
    );
    const mute = await templateOf(
      bed,
      "mute",
      `sleep 2; for p in /proc/[0-9]*; do
         [ "$(tr '\\0' ' ' <$p/cmdline)" = '/bin/sh /run/bureau/contract/health.sh ' ] && kill -9 \${p#/proc/}
       done; exec sleep 1000`,
      { ...QUICK, timeout_seconds: 1, command: ["true"] },
    );
    await Promise.all([make(bed, "stubborn", stubborn), make(bed, "mute", mute)]);
    const [first, second] = await Promise.all([bed.wait("stubborn"), bed.wait("mute")]);
    assert.equal(first.code, 137);
    assert.match(first.reason!, /failed/);
    assert.match(second.reason!, /has not answered for too long/);
  });
});

Deno.test("a spec that fails makes way for the last good one, and is not tried again (W-15)", async () => {
  await withLauncher(async (bed) => {
    const good = await templateOf(bed, "both", "echo good >which; exec sleep 1000", {
      ...QUICK,
      command: ["true"],
    });
    const bad: Template = {
      ...good,
      command: ["/bin/sh", "-c", "echo bad >which; exec sleep 1000"],
      health: { ...QUICK, grace_period_seconds: 0, command: ["false"] },
    };
    const which = () => Deno.readTextFile(`${bed.dir}/state/workspaces/both/which`);
    const goodOne = await make(bed, "both", good);
    const records = `${bed.dir}/state/launcher/health/${await bed.hash("both")}.json`;
    const record = async () => JSON.parse(await Deno.readTextFile(records).catch(() => "{}"));
    await eventually(
      "it is known to be good",
      async () => (await record()).good?.digest === goodOne.spec_digest,
      PATIENT,
    );
    assert.equal((await Deno.stat(records)).mode! & 0o777, 0o600);
    // A newer payload of it is what would be gone back to.
    const payload = { task: 2 };
    await bed.create(
      "both",
      await bed.request("both", { template: good, assignment: { payload } }),
    );
    await bed.destroy("both");

    const asked = await bed.request("both", { template: bad });
    const badOne = await bed.create("both", asked);
    assert.notEqual(badOne.spec_digest, goodOne.spec_digest);
    assert.match((await bed.wait("both")).reason!, /health check failed/);
    // What the daemon does then: it asks for the same again.
    const instead = await bed.create("both", asked);
    assert.equal(instead.spec_digest, goodOne.spec_digest);
    assert.equal(instead.issued_at, asked.assignment.issued_at);
    assert.equal(instead.rolled_back?.spec_digest, badOne.spec_digest);
    assert.match(instead.rolled_back!.why, /health check failed/);
    await healthy(bed, "both", "healthy");
    assert.equal(await which(), "good\n");
    const contract = `${await bed.cell("both")}/cell/contract/payload.json`;
    assert.deepEqual(JSON.parse(await Deno.readTextFile(contract)), payload);

    // Asked again, signed again, restarted, the launcher killed: it stays so.
    assert.equal((await bed.create("both", asked)).started_at, instead.started_at);
    const again = await bed.request("both", { template: bad });
    const kept = await bed.create("both", again);
    assert.deepEqual([kept.started_at, kept.issued_at], [
      instead.started_at,
      again.assignment.issued_at,
    ]);
    await bed.end("SIGKILL");
    await bed.start();
    const adopted = await bed.show("both");
    assert.deepEqual(
      [adopted.phase, adopted.started_at, adopted.spec_digest, adopted.rolled_back],
      ["running", instead.started_at, goodOne.spec_digest, instead.rolled_back],
    );
    await bed.destroy("both");
    assert.equal((await bed.create("both", again)).spec_digest, goodOne.spec_digest);

    // Keys that count no more start nothing, new or old.
    await bed.destroy("both");
    await bed.writePolicy({ operator_keys: [] });
    await assert.rejects(bed.create("both", again), BureauError);
    await bed.writePolicy();

    // Another spec is tried, and goes back to the same one when it fails too.
    const better: Template = { ...bad, health: { ...QUICK, command: ["true"] } };
    const third = await make(bed, "both", better);
    assert.deepEqual([third.rolled_back, third.spec_digest === goodOne.spec_digest], [
      undefined,
      false,
    ]);
    await eventually(
      "the new one is good",
      async () => (await record()).good?.digest === third.spec_digest,
      PATIENT,
    );
  });
});

Deno.test("a spec that ends before it ever worked is given up after as many times", async () => {
  await withLauncher(async (bed) => {
    const good = await templateOf(bed, "crash", IDLE, { ...QUICK, command: ["true"] });
    const { spec_digest } = await make(bed, "crash", good);
    const records = `${bed.dir}/state/launcher/health/${await bed.hash("crash")}.json`;
    await eventually(
      "it is known to be good",
      async () => await Deno.readTextFile(records).catch(() => null) !== null,
      PATIENT,
    );
    await bed.destroy("crash");
    const bad: Template = { ...good, command: ["/bin/sh", "-c", "exit 3"] };
    const asked = await bed.request("crash", { template: bad });
    for (let n = 0; n < 2; n++) {
      assert.notEqual((await bed.create("crash", asked)).spec_digest, spec_digest);
      assert.equal((await bed.wait("crash")).code, 3);
    }
    const instead = await bed.create("crash", asked);
    assert.equal(instead.spec_digest, spec_digest);
    assert.match(instead.rolled_back!.why, /ended with status 3 before it had worked/);
  });
});
