// SPDX-License-Identifier: Apache-2.0

/** Every process is replaced while an agent works; what is bad is put back, said, and not tried again. */
import assert from "node:assert/strict";
import { agentPid, eventually, processesOf, step, withBureau } from "../e2e/harness.ts";
import { CRASHES, HANGS, mark, place, ROLES, running, SILENT } from "../e2e/releases.ts";
import { messages, roomId, SCRIBE, stateEvents } from "../e2e/matrix.ts";

Deno.test("an upgrade replaces every process under a working agent, and what fails is put back", async (t) => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const room = await roomId(bureau, SCRIBE);
    await eventually(
      "the report",
      async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
      30_000,
    );
    const agent = await agentPid(bureau);
    const brought = `${bureau.stateDir}/runtime`;
    const dirOf = (digest: string) => `${bureau.stateDir}/releases/${digest}`;
    let round = 0;
    /** Through the daemon, a proxy that was made anew, and the homeserver. */
    const works = async () => {
      const asked = `round-${round++}`;
      await eventually("it can be asked", async () => {
        const sent = await bureau.cli("matrix", "send", "agent/scribe", `report ${asked}`);
        if (sent.code !== 0) throw new Error(sent.stderr);
        return true;
      });
      await eventually(
        "it answers",
        async () =>
          (await messages(bureau, room)).some(({ sender, content }) =>
            sender.startsWith(`@${SCRIBE}`) && String(content["body"]).includes(asked)
          ),
        60_000,
      );
      assert.equal(await agentPid(bureau), agent, "the agent lived on");
    };
    const upgrade = (digest: string, ...more: string[]) =>
      bureau.cli("machine", "upgrade", "--release", digest, "--settle", "1", ...more);
    await works();

    const good = await place(bureau, {
      "up.js": mark,
      "launcher.js": mark,
      "daemon.js": mark,
      "proxy.js": mark,
    });
    await step(t, bureau, "a good release, and every process is of it", async () => {
      const done = await upgrade(good);
      assert.equal(done.code, 0, done.stdout + done.stderr);
      assert.match(done.stdout, /launcher\n[^]*daemon\n[^]*supervisor\n[^]*done:/);
      await eventually(
        "the old supervisor has left",
        async () => (await running(bureau, brought)).length === 0,
      );
      assert.deepEqual(await running(bureau, dirOf(good)), [...ROLES, "up"].sort());
      await works();
      assert.match((await bureau.cli("machine", "releases")).stdout, new RegExp(`runs +${good}`));
      const again = await upgrade(good);
      assert.match(again.stdout, /runs already/);
    });

    let current = good;
    await step(t, bureau, "the checkout's own build, over a release", async () => {
      const done = await bureau.cli("machine", "upgrade", "--settle", "1", "--json");
      assert.equal(done.code, 0, done.stdout + done.stderr);
      const { to, from } = JSON.parse(done.stdout) as { to: string; from: string };
      assert.equal(from, good);
      await eventually(
        "the old supervisor has left",
        async () => (await running(bureau, dirOf(good))).length === 0,
      );
      assert.deepEqual(await running(bureau, dirOf(to)), [...ROLES, "up"].sort());
      await works();
      // The agent's bridge, were there one, is of the first release: it stays.
      assert.ok((await Deno.stat(dirOf(good))).isDirectory);
      current = to;
    });

    const bad: [string, Record<string, (text: string) => string>, RegExp][] = [
      ["a launcher that crashes", { "launcher.js": CRASHES }, /Cannot start "launcher"/],
      ["a proxy that crashes", { "proxy.js": CRASHES }, /the proxy of .* is not ready/],
      ["a daemon that never serves", { "daemon.js": SILENT }, /the daemon does not answer/],
      ["a daemon that hangs at its start", { "daemon.js": HANGS }, /was not ready within/],
      ["a supervisor that crashes", { "up.js": CRASHES }, /the new supervisor: it ended/],
    ];
    for (const [what, change, why] of bad) {
      await step(t, bureau, `${what} is put back, and the release is pinned`, async () => {
        const digest = await place(bureau, change);
        // Only what is bad has little time; what ran before has as long as it needs.
        const done = await upgrade(digest, "--deadline", "5");
        assert.equal(done.code, 1, done.stdout);
        assert.match(done.stderr, why);
        assert.match(done.stderr, /What ran before runs again/);
        await works();
        await eventually(
          "all is as it was",
          async () => (await running(bureau, dirOf(current))).length === ROLES.length + 1,
        );
        assert.deepEqual(await running(bureau, dirOf(digest)), []);
        const refused = await upgrade(digest);
        assert.match(refused.stderr, /it was tried here and failed/);
        const { stdout } = await bureau.cli("machine", "releases");
        assert.match(stdout, new RegExp(`runs +${current}[^]*failed here +${digest}`));
      });
    }

    await step(t, bureau, "what is not what its name says is not started", async () => {
      const digest = await place(bureau, { "daemon.js": (text) => `${text}// one more\n` });
      await Deno.chmod(`${dirOf(digest)}/daemon.js`, 0o666);
      assert.match((await upgrade(digest)).stderr, /others may write/);
      await Deno.chmod(`${dirOf(digest)}/daemon.js`, 0o644);
      await Deno.writeTextFile(`${dirOf(digest)}/daemon.js`, "other text");
      assert.match((await upgrade(digest)).stderr, /its files are those of/);
      assert.match((await upgrade("../runtime")).stderr, /Cannot use "\.\.\/runtime"/);
      await works();
    });

    await step(
      t,
      bureau,
      "a supervisor that is killed in an upgrade leaves no mixture",
      async () => {
        const digest = await place(bureau, { "daemon.js": (text) => `${text}// the last one\n` });
        const upgrading = bureau.cli("machine", "upgrade", "--release", digest, "--settle", "300");
        await eventually(
          "some are of the new one",
          async () => (await running(bureau, dirOf(digest))).includes("daemon"),
        );
        const { supervisor } = await bureau.json<{ supervisor: { pid: number } }>("status");
        Deno.kill(supervisor.pid, "SIGKILL");
        await eventually("its processes are gone", async () => {
          const left = [
            ...await running(bureau, dirOf(digest)),
            ...await running(bureau, dirOf(current)),
          ];
          return left.length === 0;
        });
        const again = await bureau.up("--detach");
        assert.equal(again.code, 0, again.stdout + again.stderr);
        assert.deepEqual(await running(bureau, dirOf(current)), ROLES);
        assert.deepEqual(await running(bureau, dirOf(digest)), []);
        // It had been told nothing until a supervisor answered again.
        const told = await upgrading;
        assert.equal(told.code, 1);
        assert.match(told.stderr, /cut short while the daemon was replaced/);
        await works();
        const { stdout } = await bureau.cli("machine", "releases");
        assert.match(stdout, /note +the upgrade to \w+ was cut short/);
      },
    );
  });
});

Deno.test("an upgrade of an up in the foreground leaves it its terminal, and Ctrl-C ends the successor", async () => {
  await withBureau(async (bureau) => {
    const child = bureau.spawnUp();
    let shown = "";
    const reading = (async () => {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) shown += text;
    })();
    const complained = new Response(child.stderr).text();
    await eventually(
      "the report is shown",
      () => Promise.resolve(/Repository at commit/.test(shown)),
      60_000,
    );
    const digest = await place(bureau, { "up.js": mark });
    const done = await bureau.cli("machine", "upgrade", "--release", digest, "--settle", "0");
    assert.equal(done.code, 0, done.stdout + done.stderr);
    await eventually("it is said", () => Promise.resolve(/upgraded to/.test(shown)));
    assert.match((await bureau.cli("status")).stdout, new RegExp(`release +${digest}`));
    await bureau.cli("matrix", "send", "agent/scribe", "report README.md");
    await eventually(
      "the room is shown as before",
      () => Promise.resolve(/README\.md: \d+ bytes/.test(shown)),
    );
    child.kill("SIGINT");
    const { code } = await child.status;
    await reading;
    assert.equal(code, 0, await complained);
    assert.match(shown, /stopped; `deno task up` resumes/);
    await eventually("nothing runs", async () => (await processesOf(bureau)).length === 0);
  });
});

Deno.test("all may be stopped in the middle of an upgrade, and what ran before comes back", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach", "--no-agent");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const digest = await place(bureau, { "daemon.js": mark });
    const dir = `${bureau.stateDir}/releases/${digest}`;
    const upgrading = bureau.cli("machine", "upgrade", "--release", digest, "--settle", "900");
    await eventually(
      "some are of the new one",
      async () => (await running(bureau, dir)).includes("daemon"),
      60_000,
    );
    const stopped = await bureau.down();
    assert.equal(stopped.code, 0, stopped.stderr);
    const again = await bureau.up("--detach", "--no-agent");
    assert.equal(again.code, 0, again.stdout + again.stderr);
    assert.deepEqual(await running(bureau, dir), []);
    assert.match((await upgrading).stderr, /cut short/);
    assert.match((await bureau.cli("status")).stdout, /release +the upgrade to \w+ was cut short/);
  });
});
