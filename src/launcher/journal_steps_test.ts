// SPDX-License-Identifier: Apache-2.0

/**
 * A launcher that dies between two steps of making or ending a principal: each state that it can leave is made here
 * out of a real one, and the next launcher must come to the same end from all of them.
 */
import assert from "node:assert/strict";
import { type Bed, eventually, withLauncher } from "./testing/harness.ts";

async function agents(bed: Bed): Promise<number> {
  return (await bed.processes()).filter(({ command }) => command.startsWith("sleep 1000")).length;
}

/** Ends what runs in a cell, as a reboot does, without a launcher that knows. */
async function endCell(bed: Bed, name: string): Promise<void> {
  await bed.tmux(`${await bed.cell(name)}/tmux/tmux.sock`, "run-shell", "kill -KILL -1")
    .catch(() => {});
  await eventually("the cell is gone", async () => await agents(bed) === 0);
}

interface Left {
  readonly journal: string;
  readonly seen: string;
  readonly cell: string;
}

type State = "running" | "exited" | "absent";

/** What is on disk, by the step after which the launcher died; what the next one makes of it. */
const STEPS: readonly [string, boolean, (left: Left) => Promise<void>, State][] = [
  ["create: the signature's time is noted", false, async ({ journal, cell }) => {
    await Deno.remove(journal);
    await Deno.remove(cell, { recursive: true });
  }, "absent"],
  ["create: the journal entry is half written", false, async ({ journal, cell }) => {
    await Deno.rename(journal, `${journal}.new`);
    await Deno.writeTextFile(`${journal}.new`, '{"version":1,');
    await Deno.remove(cell, { recursive: true });
  }, "absent"],
  ["create: the journal entry is written", false, async ({ cell }) => {
    await Deno.remove(cell, { recursive: true });
  }, "exited"],
  ["create: some directories are made", false, async ({ cell }) => {
    for (const name of ["cell", "observe", "tmux", "egress"]) {
      await Deno.remove(`${cell}/${name}`, { recursive: true });
    }
  }, "exited"],
  ["create: some of the cell's files are written", false, async ({ cell }) => {
    for (const name of ["tmux.conf", "nested.args", "start.sh"]) {
      await Deno.remove(`${cell}/cell/${name}`);
    }
  }, "exited"],
  ["create: everything runs", true, () => Promise.resolve(), "running"],
  ["exit: it has ended, and nobody saw it", false, () => Promise.resolve(), "exited"],
  ["exit: the journal is being written", false, async ({ journal }) => {
    await Deno.writeTextFile(`${journal}.new`, '{"exit":{"code"');
  }, "exited"],
  ["destroy: its processes are gone, its directory half removed", false, async ({ cell }) => {
    for (const name of ["agent", "admin", "tmux"]) {
      await Deno.remove(`${cell}/${name}`, { recursive: true });
    }
  }, "exited"],
  ["destroy: the journal entry is removed, not its directory", false, async ({ journal }) => {
    await Deno.remove(journal);
  }, "absent"],
  ["destroy: the journal entry is removed, and its processes live", true, async ({ journal }) => {
    await Deno.remove(journal);
  }, "absent"],
  ["a note of the signature's time is being written", true, async ({ seen }) => {
    await Deno.writeTextFile(`${seen}.new`, "17");
  }, "running"],
];

Deno.test("from whichever step a launcher died at, the next one converges, and asking again is enough", async (t) => {
  await withLauncher(async (bed) => {
    const hash = await bed.hash("step");
    for (const [title, lives, damage, expected] of STEPS) {
      await t.step(title, async () => {
        const request = await bed.request("step");
        await bed.create("step", request);
        await eventually("it runs", async () => await agents(bed) === 1);
        await bed.end("SIGKILL");
        if (!lives) await endCell(bed, "step");
        await damage({
          journal: `${bed.dir}/state/launcher/journal/${hash}.json`,
          seen: `${bed.dir}/state/launcher/seen/${hash}`,
          cell: await bed.cell("step"),
        });
        await bed.start();
        if (expected === "absent") {
          await assert.rejects(bed.show("step"), { code: "no-such-principal" });
          await eventually("nothing of it runs", async () => await agents(bed) === 0);
          assert.deepEqual([...Deno.readDirSync(`${bed.dir}/p`)], []);
        } else {
          assert.equal((await bed.show("step")).phase, expected);
        }
        // Asked again, with the very same signature: one of it runs, whatever there was.
        assert.equal((await bed.create("step", request)).phase, "running");
        assert.equal((await bed.create("step", request)).phase, "running");
        await eventually("one runs", async () => await agents(bed) === 1);
        assert.equal((await bed.destroy("step")).removed, true);
        assert.equal((await bed.destroy("step")).removed, false);
        assert.equal(await agents(bed), 0);
      });
    }
  });
});

Deno.test("after a restart of the machine, which leaves only the state, everything can start again", async () => {
  await withLauncher(async (bed) => {
    const request = await bed.request("reboot");
    await bed.create("reboot", request);
    const old = await bed.request("reboot", { assignment: { issued_at: 1 } });
    await bed.end("SIGKILL");
    await endCell(bed, "reboot");
    // As /run is after a boot.
    await Deno.remove(`${bed.dir}/launcher/launcher.sock`);
    for (const { name } of [...Deno.readDirSync(`${bed.dir}/p`)]) {
      await Deno.remove(`${bed.dir}/p/${name}`, { recursive: true });
    }
    await bed.start();
    const status = await bed.show("reboot");
    assert.deepEqual([status.phase, status.exit?.code], ["exited", 137]);
    await assert.rejects(bed.create("reboot", old), { code: "replayed" });
    assert.equal((await bed.create("reboot", request)).phase, "running");
  });
});

Deno.test("what is done to one agent does not touch those whose names begin with its name", async () => {
  await withLauncher(async (bed) => {
    const names = ["foo", "foo2", "foo/bar", "fo"];
    for (const name of names) await bed.create(name, await bed.request(name));
    await eventually("all run", async () => await agents(bed) === names.length);
    await bed.destroy("foo");
    await eventually("one less", async () => await agents(bed) === names.length - 1);
    for (const name of names.slice(1)) assert.equal((await bed.show(name)).phase, "running");
    // The same for a launcher that finds one of them without a journal.
    await bed.end("SIGKILL");
    await Deno.remove(`${bed.dir}/state/launcher/journal/${await bed.hash("fo")}.json`);
    await bed.start();
    await eventually("another less", async () => await agents(bed) === names.length - 2);
    assert.equal((await bed.show("foo2")).phase, "running");
    assert.equal((await bed.show("foo/bar")).phase, "running");
  });
});
