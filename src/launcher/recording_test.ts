// SPDX-License-Identifier: Apache-2.0

/** Recordings of real agents by real relays: no sealed value is in them, and they outlive everything. */
import assert from "node:assert/strict";
import { type CastEvent, listRecordings, readCast, readRecording } from "../lib/recording/mod.ts";
import { type Bed, bundleFor, eventually, localpart, withLauncher } from "./testing/harness.ts";
import { buildRuntime, bundle } from "./testing/runtime.ts";

const SECRET = "sk-live-0a1b2c3d4e5f60718293a4b5";
const NEXT = "sk-live-ffeeddccbbaa99887766554433";
const credential = (value: string) => ({ value, allowed_hosts: ["localhost:1"] });

async function dirOf(bed: Bed, name: string): Promise<string> {
  return `${bed.dir}/state/recordings/${await bed.hash(name)}`;
}

async function eventsOf(bed: Bed, name: string): Promise<CastEvent[]> {
  const dir = await dirOf(bed, name);
  const events: CastEvent[] = [];
  for (const file of await listRecordings(dir)) {
    const cast = await readCast(readRecording(dir, file)).catch(() => null);
    if (cast !== null) events.push(...await Array.fromAsync(cast.events));
  }
  return events;
}

async function shown(bed: Bed, name: string): Promise<string> {
  const output = (await eventsOf(bed, name)).filter(({ code }) => code === "o");
  // deno-lint-ignore no-control-regex -- escape sequences are what is taken away
  return output.map(({ data }) => data).join("").replaceAll(/\x1b\[[0-9;?]*[@-~]|\s/g, "");
}

const recorded = (bed: Bed, name: string, text: string) =>
  eventually(
    `the recording of ${name} has ${text}`,
    async () => (await shown(bed, name)).includes(text),
  );

/** Says what stands in a file of its workspace whenever there is one. */
const SPEAKER = `echo began; while true; do
  if [ -e /workspace/say ]; then cat /workspace/say; rm -f /workspace/say; fi
  if [ -e /workspace/end ]; then echo last words; exit 7; fi
  sleep 0.05
done`;

async function say(bed: Bed, name: string, text: string): Promise<void> {
  const path = `${bed.dir}/state/workspaces/${name}`;
  const isGone = () => Deno.stat(`${path}/say`).then(() => false, () => true);
  await eventually("what was said before is read", isGone);
  await Deno.writeTextFile(`${path}/say.new`, text, { mode: 0o644 });
  await Deno.rename(`${path}/say.new`, `${path}/say`);
}

Deno.test("what a terminal shows is recorded without what is sealed, over rotation, kills and the end", async () => {
  await bundle("relay", await buildRuntime());
  await withLauncher(async (bed) => {
    const template = await bed.template("speaker", SPEAKER);
    const ask = async (value: string) =>
      await bed.request("speaker", {
        template,
        bundle: bundleFor("speaker", { KEY: credential(value) }),
      });
    const first = await ask(SECRET);
    await bed.create("speaker", first);
    await recorded(bed, "speaker", "began");
    await say(bed, "speaker", `key ${SECRET} first-done\n`);
    await recorded(bed, "speaker", "first-done");

    // The control: whoever's secret it is not shows it.
    await bed.create(
      "other",
      await bed.request("other", { template: await bed.template("other", SPEAKER) }),
    );
    await say(bed, "other", `key ${SECRET} done\n`);
    await recorded(bed, "other", `key${SECRET}done`);

    // Another secret while it runs.
    await bed.create("speaker", { ...await ask(NEXT), assignment: first.assignment });
    // Told to the relay beside the proxy: a moment later it knows.
    await eventually("the new one is known", async () => {
      await say(bed, "speaker", `again ${NEXT} ${SECRET} second-done\n`);
      await recorded(bed, "speaker", "second-done");
      return (await shown(bed, "speaker")).endsWith(
        `again${"*".repeat(NEXT.length + SECRET.length)}second-done`,
      );
    });

    // A relay that is killed: the next one goes on, in a recording of its own.
    const relays = (await bed.processes()).filter(({ command }) => command.includes("relay.js"));
    for (const { pid } of relays) {
      try {
        Deno.kill(pid, "SIGKILL");
      } catch (thrown) {
        // Its cell's other process went first, and took it along.
        if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
      }
    }
    await eventually("there are two", async () => {
      await say(bed, "speaker", "and on\n");
      const sessions = (await listRecordings(await dirOf(bed, "speaker"))).map(({ session }) =>
        session
      );
      return new Set(sessions).size > 1;
    });
    await say(bed, "speaker", `third ${NEXT} third-done\n`);
    await recorded(bed, "speaker", "third-done");

    await Deno.writeTextFile(`${bed.dir}/state/workspaces/speaker/end`, "");
    assert.equal((await bed.wait("speaker")).code, 7);
    await eventually(
      "its end",
      async () =>
        (await eventsOf(bed, "speaker")).some(({ code, data }) => code === "x" && data === "7"),
    );
    await bed.destroy("speaker");
    // What is packed at that moment can be read a moment later.
    const text = await eventually("all of it is there", async () => {
      const text = await shown(bed, "speaker");
      return ["first-done", "third-done", "lastwords"].every((part) => text.includes(part))
        ? text
        : null;
    });
    assert.ok(!text.includes(SECRET));
    await eventually(
      "all are closed",
      async () =>
        (await listRecordings(await dirOf(bed, "speaker"))).every(({ open }) => open === false),
    );
    const log = bed.launcher.log.join("\n");
    assert.ok(!log.includes(SECRET) && !log.includes(NEXT));
  });
});

Deno.test("who is not to be recorded is not", async () => {
  await bundle("relay", await buildRuntime());
  await withLauncher(async (bed) => {
    const template = await bed.template("private", SPEAKER, { recording: { enabled: false } });
    await bed.create("private", await bed.request("private", { template }));
    const relay = () =>
      bed.launcher.client.call("relay", { params: { principal: localpart("private") } });
    assert.match((await relay()).socket, /relay\.sock$/);
    await assert.rejects(Deno.stat(await dirOf(bed, "private")), Deno.errors.NotFound);
  });
});
