// SPDX-License-Identifier: Apache-2.0

/** A newer assignment that changes nothing of what runs: it is that one's from then on, grants included. */
import assert from "node:assert/strict";
import { principalHash } from "../lib/ref/mod.ts";
import { type Bed, eventually, localpart, textOf, withLauncher } from "./testing/harness.ts";

/** Says again and again what it may do, as its proxy of the moment says it. */
const ASKS = "while :; do curl -sS --unix-socket /run/bureau/proxy.sock http://p/v1/grants " +
  ">grants.new 2>/dev/null && mv grants.new grants; sleep 0.05; done";

async function mayDo(bed: Bed, action: string): Promise<boolean> {
  const path = `${bed.dir}/state/workspaces/renewed/grants`;
  await Deno.remove(path).catch(() => {});
  return await eventually("it says what it may do", async () => {
    const text = await textOf(path);
    return text === null || text === "" ? null : { may: text.includes(action) };
  }).then(({ may }) => may);
}

Deno.test("a proxy that is made again starts with the grants of the newest accepted assignment", async (t) => {
  await withLauncher(async (bed) => {
    const template = await bed.template("renewed", ASKS);
    const first = await bed.request("renewed", { template });
    const started = await bed.create("renewed", {
      ...first,
      grants: [{ actions: ["matrix/join"] }],
    });
    assert.ok(await mayDo(bed, "matrix/join"));
    const second = await bed.request("renewed", { template });
    const renewed = await bed.create("renewed", { ...second, grants: [] });
    assert.equal(renewed.started_at, started.started_at);
    assert.equal(renewed.issued_at, second.assignment.issued_at);
    await assert.rejects(bed.create("renewed", first), { code: "replayed" });

    await t.step("after its proxy died", async () => {
      const hash = await principalHash(localpart("renewed"));
      const proxies = (await bed.processes()).filter(({ command }) =>
        /^\/opt\/bureau\/deno .*proxy\.js/.test(command)
      );
      assert.equal(proxies.length, 1, hash);
      Deno.kill(proxies[0]!.pid, "SIGKILL");
      await eventually("made again", async () => {
        const { proxy } = await bed.show("renewed");
        return proxy.restarts === 1 && proxy.ready;
      });
      assert.equal(await mayDo(bed, "matrix/join"), false);
    });

    await t.step("after the launcher died", async () => {
      await bed.end("SIGKILL");
      await bed.start();
      const adopted = await bed.show("renewed");
      assert.equal(adopted.phase, "running");
      assert.equal(adopted.started_at, started.started_at);
      assert.equal(adopted.issued_at, second.assignment.issued_at);
      assert.equal(await mayDo(bed, "matrix/join"), false);
    });
  });
});

Deno.test("a proxy that is made again starts with the rights that the daemon said last", async (t) => {
  await withLauncher(async (bed) => {
    const template = await bed.template("renewed", ASKS);
    const request = await bed.request("renewed", { template });
    const grants = [{ actions: ["matrix/join"] }];
    const { started_at } = await bed.create("renewed", { ...request, grants });
    assert.ok(await mayDo(bed, "matrix/join"));
    const say = (rights: { grants: { actions: string[] }[] }, of = started_at) =>
      bed.launcher.client.call("rights", {
        params: { principal: localpart("renewed") },
        query: { started_at: String(of) },
        body: { ...rights, denials: [] },
      });
    const killProxy = async (restarts: number) => {
      const proxy = (await bed.processes()).find(({ command }) =>
        /^\/opt\/bureau\/deno .*proxy\.js/.test(command)
      );
      Deno.kill(proxy!.pid, "SIGKILL");
      await eventually("made again", async () => {
        const { proxy } = await bed.show("renewed");
        return proxy.restarts === restarts && proxy.ready;
      });
    };
    await assert.rejects(say({ grants: [] }, started_at - 1), { code: "another" });
    await say({ grants: [] });

    await t.step("after its proxy died", async () => {
      await killProxy(1);
      assert.equal(await mayDo(bed, "matrix/join"), false);
    });

    await t.step("after the launcher died", async () => {
      await bed.end("SIGKILL");
      await bed.start();
      assert.equal((await bed.show("renewed")).started_at, started_at);
      assert.equal(await mayDo(bed, "matrix/join"), false);
    });

    await t.step("more of them, too; and a newer assignment says its own", async () => {
      await say({ grants: [{ actions: ["matrix/leave"] }] });
      await killProxy(1);
      assert.ok(await mayDo(bed, "matrix/leave"));
      const newer = await bed.request("renewed", { template });
      await bed.create("renewed", { ...newer, grants: [] });
      await killProxy(2);
      assert.equal(await mayDo(bed, "matrix/leave"), false);
    });
  });
});

Deno.test("whoever has not seen an end is told of it, and does not start another run", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("once", "echo run >>runs; exit 0");
    const request = await bed.request("once", { template });
    await bed.create("once", request);
    assert.equal((await bed.wait("once")).code, 0);
    const answer = await bed.launcher.client.call("create", {
      params: { principal: localpart("once") },
      query: { unless_ended: "1" },
      body: request,
    });
    assert.equal(answer.phase, "exited");
    assert.equal(answer.exit?.code, 0);
    assert.equal(await bed.read("once", "runs"), "run\n");
    const end = (started_at: number) =>
      bed.launcher.client.call("destroy", {
        params: { principal: localpart("once") },
        query: { grace_ms: "0", started_at: String(started_at) },
      });
    await assert.rejects(end(answer.started_at - 1), { code: "another" });
    assert.equal((await bed.show("once")).exit?.code, 0);
    assert.equal((await end(answer.started_at)).removed, true);
  });
});
