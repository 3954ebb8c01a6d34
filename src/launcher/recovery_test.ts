// SPDX-License-Identifier: Apache-2.0

/** What survives whose death. */
import assert from "node:assert/strict";
import { generateSigningKey } from "../lib/signature/mod.ts";
import { type Bed, bundleFor, eventually, textOf, withLauncher } from "./testing/harness.ts";

async function run(bed: Bed, name: string, script: string) {
  const template = await bed.template(name, script);
  return await bed.create(name, await bed.request(name, { template, bundle: bundleFor(name) }));
}

async function pidsOf(bed: Bed, command: RegExp): Promise<number[]> {
  return (await bed.processes()).filter((one) => command.test(one.command)).map(({ pid }) => pid);
}

const PROXY = /^\/opt\/bureau\/deno .*proxy\.js/;

Deno.test("an agent lives on when its launcher is killed, and the next launcher adopts it", async () => {
  await withLauncher(async (bed) => {
    await run(
      bed,
      "kept",
      "touch ready; until [ -e go ]; do sleep 0.02; done; curl -sS --retry 50 --retry-delay 0 --retry-all-errors --unix-socket /run/bureau/proxy.sock http://p/v1/identity >answer.new; mv answer.new answer; until [ -e end ]; do sleep 0.02; done; exit 9",
    );
    await bed.read("kept", "ready");
    const server = await pidsOf(bed, /^\/usr\/bin\/tmux -f/);
    assert.equal(server.length, 1);
    await bed.end("SIGKILL");
    // The proxy goes with the launcher; nothing else of it stays.
    await eventually("the proxy is gone", async () => (await pidsOf(bed, PROXY)).length === 0);
    await bed.start();
    assert.equal((await bed.show("kept")).phase, "running");
    assert.deepEqual(await pidsOf(bed, /^\/usr\/bin\/tmux -f/), server);
    const workspace = `${bed.dir}/state/workspaces/kept`;
    await Deno.writeTextFile(`${workspace}/go`, "");
    assert.match(await bed.read("kept", "answer"), /agent\/kept/);
    const waiting = bed.wait("kept");
    await Deno.writeTextFile(`${workspace}/end`, "");
    assert.equal((await waiting).code, 9);
  });
});

Deno.test("a launcher learns of an exit that happened while none ran", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "meanwhile", "touch ready; until [ -e end ]; do sleep 0.02; done; exit 4");
    await bed.read("meanwhile", "ready");
    await bed.end("SIGKILL");
    await Deno.writeTextFile(`${bed.dir}/state/workspaces/meanwhile/end`, "");
    const exit = `${await bed.cell("meanwhile")}/tmux/exit`;
    await eventually("it has ended", async () => await textOf(exit) !== null);
    await bed.start();
    assert.equal((await bed.wait("meanwhile")).code, 4);
  });
});

Deno.test("a proxy that is killed is made again, and its agent lives on", async () => {
  await withLauncher(async (bed) => {
    await run(bed, "proxied", "touch ready; exec sleep 1000");
    await bed.read("proxied", "ready");
    await eventually("ready", async () => (await bed.show("proxied")).proxy.ready);
    const [first] = await pidsOf(bed, PROXY);
    const agent = await pidsOf(bed, /^sleep 1000/);
    Deno.kill(first!, "SIGKILL");
    await eventually("made again", async () => {
      const { proxy } = await bed.show("proxied");
      return proxy.restarts === 1 && proxy.ready;
    });
    assert.notDeepEqual(await pidsOf(bed, PROXY), [first]);
    assert.deepEqual(await pidsOf(bed, /^sleep 1000/), agent);
  });
});

Deno.test("a journal that was cut off costs no more than a restart", async () => {
  await withLauncher(async (bed) => {
    const request = await bed.request("torn");
    for (const text of ["", '{"version":1,"princ', "[]"]) {
      await bed.create("torn", request);
      await bed.end("SIGKILL");
      await Deno.writeTextFile(
        `${bed.dir}/state/launcher/journal/${await bed.hash("torn")}.json`,
        text,
      );
      await bed.start();
      await assert.rejects(bed.show("torn"), { code: "no-such-principal" });
      assert.deepEqual(await pidsOf(bed, /^sleep 1000/), []);
    }
    assert.equal((await bed.create("torn", request)).phase, "running");
  });
});

Deno.test("an agent whose signature counts no more is not adopted", async () => {
  await withLauncher(async (bed) => {
    await bed.create("stays", await bed.request("stays"));
    await bed.end("SIGKILL");
    await bed.start();
    assert.equal((await bed.show("stays")).phase, "running");
    await bed.end("SIGKILL");
    await bed.writePolicy({ operator_keys: [(await generateSigningKey()).publicKey] });
    await bed.start();
    await assert.rejects(bed.show("stays"), { code: "no-such-principal" });
    assert.deepEqual(await pidsOf(bed, /^sleep 1000/), []);
  });
});

Deno.test("a lost machine key is an error that says what to do, never a new key", async () => {
  await withLauncher(async (bed) => {
    const path = `${bed.dir}/state/launcher/machine-key.txt`;
    const text = await Deno.readTextFile(path);
    await bed.end("SIGTERM");
    for (const broken of ["", "AGE-SECRET-KEY-1QQQ", "\0".repeat(74), null]) {
      if (broken === null) await Deno.remove(path);
      else await Deno.writeTextFile(path, broken);
      const { process, line, logged } = await bed.spawn("serve");
      assert.equal((await process.status).code, 1);
      await logged;
      const error = line["error"] as { code: string; hint: string };
      assert.equal(error.code, broken === null ? "machine-key-lost" : "bad-machine-key");
      assert.match(error.hint, /backup/);
    }
    // Control: with the key it starts, and the public half is the same.
    await Deno.writeTextFile(path, text, { mode: 0o600 });
    if (Deno.uid() === 0) {
      const { uid, gid } = await Deno.stat(`${bed.dir}/state/launcher`);
      await Deno.chown(path, uid!, gid!);
    }
    const before = bed.publicKey;
    await bed.start();
    assert.equal(bed.publicKey, before);
  });
});
