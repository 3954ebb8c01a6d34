// SPDX-License-Identifier: Apache-2.0

/** Every program that a launcher starts has a seccomp filter, the throw-away ones too. */
import assert from "node:assert/strict";
import { createLogger } from "../lib/log.ts";
import { Cgroups } from "./limits_cell.ts";
import { Look } from "./look.ts";
import { withLauncher } from "./testing/harness.ts";

/** How many filters a process has; a container gives its own to all. */
async function filters(pid: number | "self"): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^Seccomp_filters:\s*(\d+)/m.exec(status)?.[1]);
}

const nameOf = (pid: number) => Deno.readTextFile(`/proc/${pid}/comm`).then((name) => name.trim());

Deno.test("each program of a running principal has a filter: agent, terminal, its client, proxy", async () => {
  await withLauncher(async (bed) => {
    await bed.create("filtered", await bed.request("filtered"));
    // Those that have become what they are: a client that is just being made is a bwrap yet.
    const wanted = ["deno", "script", "sleep", "tmux: client", "tmux: server"];
    const own = await filters("self");
    const found = new Map<string, number>();
    const deadline = Date.now() + 30_000;
    while (Date.now() < deadline && wanted.some((name) => !found.has(name))) {
      for (const { pid, command } of await bed.processes()) {
        if (command.includes("launcher.js")) continue;
        const name = await nameOf(pid).catch(() => "bwrap");
        if (name !== "bwrap") found.set(name, (await filters(pid).catch(() => NaN)) - own);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const name of wanted) assert.ok(found.has(name), `${name} in ${[...found.keys()]}`);
    for (const [name, count] of found) assert.ok(!(count < 1), `${name} has ${count}`);
  });
});

/** A program that waits for a FIFO, looked at meanwhile. */
async function whileWaiting(
  fifo: string,
  text: string,
  start: () => Promise<unknown>,
): Promise<{ answer: unknown; filters: number }> {
  const made = await new Deno.Command("mkfifo", { args: [fifo] }).output();
  assert.ok(made.success);
  const answer = start();
  // Opens when somebody reads; so it is there then.
  const writer = await Deno.open(fifo, { write: true });
  let count: number;
  try {
    count = await filters(await readerOf(fifo));
    await writer.write(new TextEncoder().encode(text));
  } finally {
    writer.close();
  }
  return { answer: await answer, filters: count };
}

async function readerOf(fifo: string): Promise<number> {
  const { ino } = await Deno.stat(fifo);
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === Deno.pid) continue;
    for (const fd of [0, 3, 10, 11]) {
      const at = await Deno.stat(`/proc/${name}/fd/${fd}`).catch(() => null);
      if (at !== null && at.isFifo && at.ino === ino) return Number(name);
    }
  }
  throw new Error(`nobody reads ${fifo}`);
}

Deno.test("the cell that looks at the machine, and the one that sets limits, have a filter", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const own = await filters("self");
    const look = new Look({ bind_roots: [] });
    const seen = await whileWaiting(`${dir}/look`, "", () => look.readText(`${dir}/look`));
    assert.equal(seen.filters, own + 1);

    await Deno.mkdir(`${dir}/cg/h.agent`, { recursive: true });
    const place = { version: 1 as const, dirs: { pids: `${dir}/cg` } };
    const cgroups = new Cgroups(place, createLogger("test"));
    const usage = await whileWaiting(
      `${dir}/cg/h.agent/pids.current`,
      "7\n",
      () => cgroups.usage("h"),
    );
    assert.equal(usage.filters, own + 1);
    assert.equal((usage.answer as { pids: number }).pids, 7);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
