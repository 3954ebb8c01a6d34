// SPDX-License-Identifier: Apache-2.0

/** What Bureau's processes hold can't be written to disk: by a crash, whatever limit `up` was started with, or as swap. */
import assert from "node:assert/strict";
import {
  type Bureau,
  commandLine,
  eventually,
  processesOf,
  run,
  skip,
  withBureau,
} from "./harness.ts";

/** Soft and hard limit of a process's core file. */
async function coreLimit(pid: number | "self"): Promise<string> {
  const limits = await Deno.readTextFile(`/proc/${pid}/limits`);
  return /^Max core file size +(\S+ +\S+)/m.exec(limits)![1]!.replace(/ +/, " ");
}

const ROLES = ["up", "launcher", "daemon", "proxy"];

/** How readily the kernel swaps the memory of a process out; 0: never. Null: it is in no group of memory. */
async function swappiness(pid: number | "self"): Promise<string | null> {
  const groups = await Deno.readTextFile(`/proc/${pid}/cgroup`);
  const v1 = /^\d+:memory:(.*)$/m.exec(groups)?.[1];
  const path = v1 !== undefined
    ? `/sys/fs/cgroup/memory${v1}/memory.swappiness`
    : `/sys/fs/cgroup${/^0::(.*)$/m.exec(groups)?.[1] ?? ""}/memory.swap.max`;
  return (await Deno.readTextFile(path).catch(() => null))?.trim() ?? null;
}

/** By what they are; several of one kind: each. */
async function limitsOf(
  bureau: Bureau,
  limitOf: (pid: number) => Promise<string>,
): Promise<Map<string, string[]>> {
  const seen = new Map<string, string[]>();
  for (const pid of await processesOf(bureau)) {
    const role = /\/(up|homeserver|launcher|daemon|proxy)\.js\b/.exec(await commandLine(pid))?.[1];
    if (role === undefined) continue;
    const limit = await limitOf(pid);
    // One that ends has left its groups.
    if (await commandLine(pid) !== "") seen.set(role, [...seen.get(role) ?? [], limit]);
  }
  return seen;
}

Deno.test("no process of Bureau may write a core file", async (t) => {
  const before = await coreLimit("self");
  const set = (limits: string) => run("prlimit", ["--pid", String(Deno.pid), `--core=${limits}`]);
  const [, hard] = before.split(" ");
  // Root may raise it; another user may use what is left.
  await set(Deno.uid() === 0 ? "unlimited:unlimited" : `${hard}:${hard}`);
  try {
    if ((await coreLimit("self")).startsWith("0 ")) {
      return await skip(t, "this user may not have core files at all, so nothing would be seen");
    }
    await withBureau(async (bureau) => {
      // Started with a limit that lets a core be written.
      const up = await bureau.up("--detach");
      assert.equal(up.code, 0, up.stderr);
      // With another homeserver there is none of ours.
      const roles = bureau.homeserver.tokenFile === null ? [...ROLES, "homeserver"] : ROLES;
      const limits = await eventually("all of them run", async () => {
        const seen = await limitsOf(bureau, coreLimit);
        const missing = roles.filter((role) => !seen.has(role));
        if (missing.length > 0) throw new Error(`no ${missing} among ${[...seen.keys()]}`);
        return seen;
      }, 60_000);
      for (const [role, all] of limits) {
        for (const limit of all) assert.equal(limit, "0 0", role);
      }
    });
  } finally {
    await set(before.replace(" ", ":"));
  }
});

Deno.test("no process of Bureau is swapped out where `up` may make control groups", async (t) => {
  if (await swappiness("self") === "0") {
    return await skip(t, "nothing is swapped out here at all, so nothing would be seen");
  }
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const place = await Deno.readTextFile(`${bureau.runDir}/cgroups`).catch(() => null);
    if (place === null) return await skip(t, "this machine gives us no control groups");
    const seen = await eventually("all of them run", async () => {
      const all = await limitsOf(bureau, async (pid) => await swappiness(pid) ?? "no group");
      return ROLES.every((role) => all.has(role)) ? all : null;
    }, 60_000);
    for (const [role, all] of seen) {
      for (const value of all) assert.equal(value, "0", role);
    }
  });
});
