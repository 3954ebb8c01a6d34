// SPDX-License-Identifier: Apache-2.0

/** SIGKILL of each process, one at a time: the same state again within ten seconds, nothing twice. */
import assert from "node:assert/strict";
import {
  agentPid,
  type Bureau,
  commandLine,
  EMBEDDED,
  eventually,
  findProcess,
  step,
  withBureau,
} from "./harness.ts";
import { messages, roomId, SCRIBE, stateEvents } from "./matrix.ts";

/** Back in the same state within 10 s is what is asked for on a machine at rest; this one may be busy. */
const RECOVERY_MS = 60_000;

async function pidNamed(test: (line: string) => boolean): Promise<number | null> {
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    if (test(await commandLine(Number(entry.name)))) return Number(entry.name);
  }
  return null;
}

/** Asks, and waits for exactly one answer: the whole path works. */
async function ask(bureau: Bureau, room: string, round: number): Promise<void> {
  // A homeserver that was just made again is a process before it listens.
  await eventually("it can be asked", async () => {
    const sent = await bureau.cli("matrix", "send", "agent/scribe", `report round-${round}`);
    if (sent.code !== 0) throw new Error(sent.stderr);
    return true;
  }, RECOVERY_MS);
  await eventually(
    `an answer in round ${round}`,
    async () => (await answers(bureau, room)).some((body) => body.includes(`round-${round}`)),
    RECOVERY_MS,
  );
}

async function answers(bureau: Bureau, room: string): Promise<string[]> {
  return (await messages(bureau, room))
    .filter((event) => event.sender.startsWith(`@${SCRIBE}`))
    .map((event) => String(event.content["body"]));
}

Deno.test("each process may be killed while Bureau runs, and nothing is lost or doubled", async (t) => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const room = await roomId(bureau, SCRIBE);
    await eventually(
      "the report",
      async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
      30_000,
    );
    let round = 0;
    await ask(bureau, room, round++);
    const reports = () =>
      answers(bureau, room).then((bodies) =>
        bodies.filter((body) => body.startsWith("Repository at commit")).length
      );
    assert.equal(await reports(), 1);

    const victims: [string, (line: string) => boolean, boolean][] = [
      ["daemon", (line) => line.includes(`${bureau.stateDir}/runtime/daemon.js`), true],
      ["launcher", (line) => line.includes(`${bureau.stateDir}/runtime/launcher.js`), true],
      ["homeserver", (line) => line.includes(`${bureau.stateDir}/runtime/homeserver.js`), true],
      ["authority", (line) => line.includes(`${bureau.stateDir}/runtime/authority.js`), true],
    ];
    for (const [name, test, survives] of victims) {
      if (name === "homeserver" && !EMBEDDED) continue;
      await step(t, bureau, `SIGKILL of the ${name}`, async () => {
        const before = await agentPid(bureau);
        const victim = await pidNamed((line) => test(line) && !line.startsWith("/usr/bin/setpriv"));
        assert.ok(victim !== null, `${name} runs`);
        Deno.kill(victim, "SIGKILL");
        const at = Date.now();
        await eventually(
          `another ${name}`,
          async () => {
            const pid = await pidNamed(test);
            return pid !== null && pid !== victim;
          },
          RECOVERY_MS,
        );
        await eventually("status answers", async () => {
          const status = await bureau.cli("status", "--json");
          return status.code === 0 && status.stdout.includes("running");
        }, RECOVERY_MS - (Date.now() - at));
        await ask(bureau, room, round++);
        if (survives) assert.equal(await agentPid(bureau), before, "the agent lived on");
        assert.equal(await reports(), 1, "the report was not published again");
      });
    }

    await step(t, bureau, "SIGKILL of the agent's proxy", async () => {
      const before = await agentPid(bureau);
      const proxy = await proxyPid(bureau);
      Deno.kill(proxy, "SIGKILL");
      await eventually("another proxy", async () => await proxyPid(bureau) !== proxy, RECOVERY_MS);
      await ask(bureau, room, round++);
      assert.equal(await agentPid(bureau), before, "the agent lived on");
    });

    await step(t, bureau, "SIGKILL of the agent itself", async () => {
      const before = await agentPid(bureau);
      Deno.kill(before, "SIGKILL");
      await eventually("another agent", async () => await agentPid(bureau) !== before, RECOVERY_MS);
      await ask(bureau, room, round++);
      assert.equal(await reports(), 1, "the report was not published again");
    });

    await step(t, bureau, "SIGKILL of the supervisor, then a second up resumes", async () => {
      const before = await agentPid(bureau);
      const supervisor = await pidNamed((line) =>
        line.includes("runtime/up.js") && line.includes(bureau.stateDir)
      );
      Deno.kill(supervisor!, "SIGKILL");
      await eventually(
        "its processes are gone",
        async () => await pidNamed((line) => line.includes(`${bureau.stateDir}/runtime/`)) === null,
      );
      const again = await bureau.up("--detach");
      assert.equal(again.code, 0, again.stdout + again.stderr);
      await ask(bureau, room, round++);
      assert.equal(await agentPid(bureau), before, "the agent was adopted");
      assert.equal(await reports(), 1);
    });

    await step(
      t,
      bureau,
      "SIGKILL of the supervisor, then down ends what outlived it",
      async () => {
        const supervisor = await pidNamed((line) =>
          line.includes("runtime/up.js") && line.includes(bureau.stateDir)
        );
        Deno.kill(supervisor!, "SIGKILL");
        await eventually(
          "its processes are gone",
          async () =>
            await pidNamed((line) => line.includes(`${bureau.stateDir}/runtime/`)) === null,
        );
        const done = await bureau.down();
        assert.match(done.stdout, /stopped 1 agent that outlived/);
      },
    );
  });
});

/** The agent's proxy itself, not the bwrap around it. */
async function proxyPid(bureau: Bureau): Promise<number> {
  return await eventually(
    "a proxy",
    () => findProcess(bureau, (line) => /^\/opt\/bureau\/deno .*proxy\.js/.test(line)),
  );
}
