// SPDX-License-Identifier: Apache-2.0

/** A principal's life, with the real launcher, proxy, tmux and bwrap. */
import assert from "node:assert/strict";
import {
  type Bed,
  bundleFor,
  eventually,
  localpart,
  textOf,
  withLauncher,
} from "./testing/harness.ts";

/** Starts a shell script as the agent. */
async function run(bed: Bed, name: string, script: string) {
  const template = await bed.template(name, script);
  return await bed.create(name, await bed.request(name, { template, bundle: bundleFor(name) }));
}

/** The host pid of the process whose command line matches. */
function pidOf(bed: Bed, command: RegExp): Promise<number> {
  return eventually(
    String(command),
    async () => (await bed.processes()).findLast((one) => command.test(one.command))?.pid ?? null,
  );
}

Deno.test("create() starts the agent as its own user in its workspace", async () => {
  await withLauncher(async (bed) => {
    const status = await run(bed, "one", "id >new; pwd >>new; mv new out; exec sleep 1000");
    assert.equal(status.phase, "running");
    assert.equal(status.principal, localpart("one"));
    assert.match(await bed.read("one", "out"), /uid=1000\(agent\) gid=1000\(agent\)/);
    await eventually("the proxy is ready", async () => (await bed.show("one")).proxy.ready);
  });
});

Deno.test("create() returns the running principal when asked again, and refuses another spec", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("same", "echo $$ >>out; exec sleep 1000");
    const bundle = bundleFor("same");
    const request = await bed.request("same", { template, bundle });
    const first = await bed.create("same", request);
    await bed.read("same", "out");
    const second = await bed.create("same", request);
    assert.equal(second.started_at, first.started_at);
    const other = await bed.template("same", "exec sleep 1001");
    await assert.rejects(
      bed.create("same", await bed.request("same", { template: other })),
      { code: "running" },
    );
    const twice = await Promise.all([bed.create("same", request), bed.create("same", request)]);
    assert.deepEqual(twice.map((one) => one.started_at), [first.started_at, first.started_at]);
    assert.equal((await bed.read("same", "out")).trim().split("\n").length, 1);
  });
});

Deno.test("create() replaces a principal that has exited", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "again", "exit 3");
    assert.equal((await bed.wait("again")).code, 3);
    await run(bed, "again", "touch second; exec sleep 1000");
    await bed.read("again", "second");
    assert.equal((await bed.show("again")).phase, "running");
  });
});

Deno.test("wait() reports status and last screen when the agent exits", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "seven", "echo last words; exit 7");
    const exit = await bed.wait("seven");
    assert.equal(exit.code, 7);
    assert.equal(exit.signal, null);
    assert.deepEqual(exit.output, ["last words"]);
    assert.equal((await bed.show("seven")).phase, "exited");
  });
});

Deno.test("wait() reports 137 when the agent was killed, and at once when it is over already", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "shot", "kill -9 $$");
    assert.equal((await bed.wait("shot")).code, 137);
    assert.equal((await bed.wait("shot")).code, 137);
    await run(bed, "outside", "touch up; exec sleep 4321");
    await bed.read("outside", "up");
    Deno.kill(await pidOf(bed, /^sleep 4321/), "SIGKILL");
    assert.equal((await bed.wait("outside")).code, 137);
  });
});

Deno.test("wait() reports an agent that cannot be executed", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("none", "", { command: ["/nonexistent/agent"] });
    await bed.create("none", await bed.request("none", { template }));
    const exit = await bed.wait("none");
    assert.equal(exit.code, 127);
    assert.match(exit.output.join("\n"), /nonexistent/);
  });
});

Deno.test("destroy() lets the agent end in its own way when it has time", async () => {
  await withLauncher(async (bed) => {
    await run(
      bed,
      "polite",
      "trap 'echo goodbye >out; exit 5' TERM; touch ready; while :; do sleep 0.05; done",
    );
    await bed.read("polite", "ready");
    const workspace = `${bed.dir}/state/workspaces/polite`;
    const waiting = bed.wait("polite");
    assert.equal((await bed.destroy("polite", 10_000)).removed, true);
    assert.equal(await textOf(`${workspace}/out`), "goodbye\n");
    assert.equal((await waiting).code, 5);
    assert.equal((await bed.destroy("polite")).removed, false);
  });
});

Deno.test("destroy() kills what ignores the polite signal, and leaves nothing", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "stubborn", "trap '' TERM HUP INT; touch ready; while :; do sleep 0.05; done");
    await bed.read("stubborn", "ready");
    const cell = await bed.cell("stubborn");
    assert.ok((await bed.processes(cell)).length > 0);
    await bed.destroy("stubborn", 50);
    assert.deepEqual(await bed.processes(cell), []);
    assert.equal(await textOf(`${cell}/name`), null);
    await assert.rejects(bed.show("stubborn"), { code: "no-such-principal" });
  });
});

Deno.test("two principals of which one's name begins the other's do not touch each other", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "ann", "touch ready; exec sleep 1000");
    await run(bed, "anna", "touch ready; exec sleep 1000");
    await bed.read("ann", "ready");
    await bed.read("anna", "ready");
    const agents = async () =>
      (await bed.processes(await bed.cell("anna")))
        .filter(({ command }) => /^(sleep 1000|\/usr\/bin\/tmux -f )/.test(command))
        .map(({ pid }) => pid);
    const before = await agents();
    assert.ok(before.length > 0);
    await bed.destroy("ann", 5_000);
    assert.equal((await bed.show("anna")).phase, "running");
    assert.deepEqual(await agents(), before);
    assert.deepEqual(await bed.processes(await bed.cell("ann")), []);
  });
});

Deno.test("events() tells of start, exit and removal", async () => {
  await withLauncher(async (bed) => {
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const event of bed.launcher.client.events("events", { signal: stop.signal })) {
        const { type, status } = event as { type: string; status?: { phase: string } };
        seen.push(`${type} ${status?.phase ?? ""}`.trim());
      }
    })().catch(() => {});
    await run(bed, "told", "exit 0");
    await bed.wait("told");
    await bed.destroy("told");
    await eventually("removal is told", () => seen.includes("removed"));
    stop.abort();
    await following;
    const phases = seen.filter((one) => one.startsWith("principal"));
    assert.ok(phases.includes("principal starting"), seen.join(", "));
    assert.ok(phases.includes("principal exited"), seen.join(", "));
    assert.ok(phases.indexOf("principal running") < phases.indexOf("principal exited"));
  });
});

Deno.test("relay() finds one relay, also after it died, and none for a principal that exited", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "seen", "touch ready; exec sleep 1000");
    await bed.read("seen", "ready");
    const ask = () =>
      bed.launcher.client.call("relay", { params: { principal: localpart("seen") } });
    const [one, two] = await Promise.all([ask(), ask()]);
    assert.deepEqual(one, two);
    assert.equal(one.socket, `${await bed.cell("seen")}/observe/relay.sock`);
    const relays = async () =>
      (await bed.processes()).filter(({ command }) =>
        /^\/opt\/bureau\/deno .*relay\.js/.test(command)
      );
    const [relay, ...more] = await relays();
    assert.deepEqual(more, []);
    Deno.kill(relay!.pid, "SIGKILL");
    await eventually("another relay, and only that", async () => {
      const now = await relays();
      return now.length === 1 && now[0]!.pid !== relay!.pid;
    });
    await ask();
    assert.equal((await relays()).length, 1);
    await run(bed, "over", "exit 0");
    await bed.wait("over");
    await assert.rejects(
      bed.launcher.client.call("relay", { params: { principal: localpart("over") } }),
      { code: "not-running" },
    );
  });
});

Deno.test("a terminal that is resized tells the agent", async () => {
  await withLauncher(async (bed) => {
    await run(
      bed,
      "size",
      "trap 'stty size </dev/tty >size.new; mv size.new size' WINCH; touch ready; while :; do sleep 0.02; done",
    );
    await bed.read("size", "ready");
    const socket = `${await bed.cell("size")}/tmux/tmux.sock`;
    await bed.tmux(socket, "resize-window", "-t", "=agent:", "-x", "97", "-y", "31");
    await eventually(
      "the agent sees the new size",
      async () => (await textOf(`${bed.dir}/state/workspaces/size/size`))?.trim() === "31 97",
    );
  });
});
