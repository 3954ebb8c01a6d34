// SPDX-License-Identifier: Apache-2.0

/** A tool call that an agent asks leave for, on real parts: daemon and proxy are killed between question and answer. */
import assert from "node:assert/strict";
import { createProxyClient, type Leave } from "../../src/lib/proxyclient/mod.ts";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { type Bureau, commandLine, eventually, processesOf, step, withBureau } from "./harness.ts";
import { matrix, type MatrixEvent, messages, roomId } from "./matrix.ts";

const SLOW_MS = 120_000;
const AGENT = "agent/asker";

async function kill(bureau: Bureau, name: "daemon" | "proxy"): Promise<void> {
  const victim = await eventually(`a ${name}`, async () => {
    for (const pid of await processesOf(bureau)) {
      const line = await commandLine(pid);
      if (line.includes(`/${name}.js`) && !/^\S*(setpriv|bwrap) /.test(line)) return pid;
    }
    return null;
  }, SLOW_MS);
  Deno.kill(victim, "SIGKILL");
  await eventually(`the ${name} is gone`, async () => (await commandLine(victim)) === "", SLOW_MS);
}

interface Listed {
  readonly pending: readonly { id: string; resource: string }[];
  readonly ended: readonly { resource: string; state: string; verdict: string | null }[];
}

Deno.test("an agent's tool call is answered by people, whatever is killed meanwhile", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    const machine = (await bureau.json<{ daemon: { machine: string } }>("status")).daemon.machine;
    const configRoom = await roomId(bureau, machine.slice(1).split(":")[0]!);
    const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
    await matrix(bureau, `rooms/${templates}/state/m.bureau.template/asker`, {
      method: "PUT",
      body: {
        description: "asks",
        command: ["/bin/sh", "-c", "exec sleep 6000"],
        environment_variables: { PATH: "/usr/bin:/bin" },
      },
    });
    const created = await bureau.cli(
      ...["agent", "create", AGENT, "--template", "bureau/template:asker"],
    );
    assert.equal(created.code, 0, created.stdout + created.stderr);
    const hash = await principalHash(`bureau/fleet/dev/${AGENT}`);
    using proxy = createProxyClient({ socket: `${bureau.runDir}/p/${hash}/agent/proxy.sock` });
    await eventually("its proxy answers", () => proxy.health(), SLOW_MS);

    const ask = (resource: string) =>
      proxy.approval({ tool: "Bash", permission: "execute-command", resource });
    const question = (resource: string): Promise<MatrixEvent> =>
      eventually(`a question about ${resource}`, async () => {
        const told = (await messages(bureau, configRoom)).filter(({ content }) =>
          (content["m.bureau.tool_approval"] as { resource?: string } | undefined)?.resource ===
            resource && content["m.new_content"] === undefined
        );
        assert.ok(told.length < 2, "people are asked once");
        return told[0] ?? null;
      }, SLOW_MS);
    let n = 0;
    const react = (about: MatrixEvent, key: string) =>
      matrix(
        bureau,
        `rooms/${encodeURIComponent(configRoom)}/send/m.reaction/approval-${n++}`,
        {
          method: "PUT",
          body: { "m.relates_to": { rel_type: "m.annotation", event_id: about.event_id, key } },
        },
      );
    const ended = (resource: string) =>
      eventually(`${resource} has ended`, async () => {
        const { ended } = await bureau.json<Listed>("agent", "approvals");
        return ended.find((one) => one.resource === resource && one.state === "delivered") ?? null;
      }, SLOW_MS);

    await step(t, bureau, "a reaction, after daemon and proxy were killed", async () => {
      const leave = ask("git push origin main");
      const about = await question("git push origin main");
      await eventually("it is seen", async () => {
        const { attention } = await bureau.json<{ attention?: { reason: string } }>(
          ...["agent", "show", AGENT],
        );
        return attention?.reason === "tool-call";
      }, SLOW_MS);
      await kill(bureau, "proxy");
      await kill(bureau, "daemon");
      // While no daemon is there, or one that has just begun.
      await react(about, "👍");
      assert.equal((await leave).approved, true);
      assert.equal((await ended("git push origin main")).verdict, "approve");
      await question("git push origin main");
    });

    await step(t, bureau, "a command, while the proxy is killed", async () => {
      const answers: Leave[] = [];
      const leaves = ["make a", "make b"].map((what) =>
        ask(what).then((leave) => answers.push(leave))
      );
      await Promise.all(["make a", "make b"].map(question));
      const { pending } = await bureau.json<Listed>("agent", "approvals", AGENT);
      assert.deepEqual(pending.map(({ resource }) => resource).sort(), ["make a", "make b"]);
      const id = pending.find(({ resource }) => resource === "make b")!.id;
      await kill(bureau, "proxy");
      const denied = await bureau.cli("agent", "deny", id.slice(0, 6));
      assert.equal(denied.code, 0, denied.stderr);
      assert.match(denied.stdout, /agent\/asker → Bash: make b: refused/);
      await ended("make b");
      assert.deepEqual(answers.map(({ approved }) => approved), [false]);
      // Once: the same command again finds nothing.
      assert.match((await bureau.cli("agent", "deny", id)).stderr, /no such approval is open/);
      const other = pending.find(({ resource }) => resource === "make a")!.id;
      const approved = await bureau.cli("agent", "approve", other);
      assert.equal(approved.code, 0, approved.stderr);
      await Promise.all(leaves);
      assert.deepEqual(answers.map(({ approved }) => approved), [false, true]);
    });

    await step(t, bureau, "an agent that ends leaves a question that is void", async () => {
      const stop = new AbortController();
      const call = { tool: "Bash", permission: "delete", resource: "rm -r build" } as const;
      const leave = proxy.approval(call, { signal: stop.signal });
      await question("rm -r build");
      stop.abort();
      assert.equal((await leave).approved, false);
      const destroyed = await bureau.cli("agent", "destroy", AGENT, "--yes");
      assert.equal(destroyed.code, 0, destroyed.stderr);
      await eventually("nothing is open", async () => {
        return (await bureau.json<Listed>("agent", "approvals")).pending.length === 0;
      }, SLOW_MS);
    });
  });
});
