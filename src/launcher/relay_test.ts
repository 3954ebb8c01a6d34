// SPDX-License-Identifier: Apache-2.0

/** The life of real relays beside real agents: there without being asked for, again when killed, gone with them. */
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { TestWatcher } from "../observe/_session.ts";
import { RelayTurns } from "./relay.ts";
import { type Bed, eventually, withLauncher } from "./testing/harness.ts";
import { buildRuntime, bundle } from "./testing/runtime.ts";

const RELAY = /^\/opt\/bureau\/deno .*relay\.js/;

/** With the relay itself instead of the harness's stand-in. */
async function withRelays(use: (bed: Bed) => Promise<void>): Promise<void> {
  await bundle("relay", await buildRuntime());
  await withLauncher(use);
}

async function run(bed: Bed, name: string, script: string): Promise<void> {
  const template = await bed.template(name, script);
  await bed.create(name, await bed.request(name, { template }));
}

const relays = async (bed: Bed) =>
  (await bed.processes()).filter(({ command }) => RELAY.test(command)).map(({ pid }) => pid);

/** Attached to the relay that is there, which nobody asked for. */
function attach(bed: Bed, name: string, mode = "readonly"): Promise<TestWatcher> {
  return eventually(`the relay of ${name} serves`, async () => {
    const socket = `${await bed.cell(name)}/observe/relay.sock`;
    try {
      return await TestWatcher.attach(socket, { mode, cols: "100", rows: "30" });
    } catch {
      return null;
    }
  });
}

Deno.test("a relay comes by itself, again with another stream when it was killed, and goes with its agent", async () => {
  await withRelays(async (bed) => {
    await run(bed, "seen", "echo on-the-screen; exec cat");
    const first = await attach(bed, "seen");
    await eventually("it shows the screen", () => first.output.includes("on-the-screen"));
    const [pid, ...more] = await relays(bed);
    assert.deepEqual(more, []);
    Deno.kill(pid!, "SIGKILL");
    await first.closed;
    const second = await attach(bed, "seen", "readwrite");
    await eventually("it shows the screen", () => second.output.includes("on-the-screen"));
    assert.notEqual(second.last("metadata")!.stream, first.last("metadata")!.stream);
    second.type("typed\r");
    await eventually("keys arrive", () => second.output.includes("typed"));
    await bed.destroy("seen");
    await second.closed;
    assert.equal(second.frames.at(-1)!.type, "exit");
    for (const watcher of [first, second]) await watcher[Symbol.asyncDispose]();
    await eventually("no relay is left", async () => (await relays(bed)).length === 0);
  });
});

Deno.test("an agent's last words are shown before its relay goes", async () => {
  await withRelays(async (bed) => {
    await run(bed, "ends", "until [ -e go ]; do sleep 0.02; done; seq 1 2000; echo last-words");
    await using watcher = await attach(bed, "ends");
    await eventually("tmux has drawn", () => watcher.offset > 0);
    await Deno.writeTextFile(`${bed.dir}/state/workspaces/ends/go`, "");
    await watcher.closed;
    assert.match(watcher.output, /last-words/);
    assert.deepEqual(watcher.frames.at(-1), { type: "exit", reason: "the program ended" });
    await eventually("the relay is gone", async () => (await relays(bed)).length === 0);
  });
});

Deno.test("a launcher that takes over an agent makes it a relay", async () => {
  await withRelays(async (bed) => {
    await run(bed, "kept", "echo on-the-screen; exec cat");
    const before = await attach(bed, "kept");
    await bed.end("SIGKILL");
    await before.closed;
    await before[Symbol.asyncDispose]();
    await eventually("it went with its launcher", async () => (await relays(bed)).length === 0);
    await bed.start();
    await using after = await attach(bed, "kept");
    await eventually("it shows the screen", () => after.output.includes("on-the-screen"));
  });
});

Deno.test("relays start one after the other, and one that is not wanted any more holds nobody up", async () => {
  const turns = new RelayTurns(systemClock);
  const order: string[] = [];
  let open = 0;
  const start = (name: string) => async () => {
    assert.equal(++open, 1, "one at a time");
    await new Promise((resolve) => setTimeout(resolve, 5));
    open--;
    order.push(name);
  };
  const never = new AbortController();
  const dropped = new AbortController();
  const first = turns.take(start("first"), never.signal);
  const failed = turns.take(() => Promise.reject(new Error("no")), never.signal);
  const second = turns.take(start("dropped"), dropped.signal);
  const third = turns.take(start("third"), never.signal);
  dropped.abort();
  await second;
  assert.deepEqual(order, [], "it did not wait for the others");
  await assert.rejects(failed);
  await Promise.all([first, third]);
  assert.deepEqual(order, ["first", "third"]);
});
