// SPDX-License-Identifier: Apache-2.0

/** Real control groups, real agents that take all they can. */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";
import { Bed, eventually, IDENTITY } from "./testing/harness.ts";
import { makePlace } from "./testing/cgroups.ts";
import { principalHash } from "../lib/ref/mod.ts";
import { localpart } from "./testing/harness.ts";

/** A launcher with a place; skips with the reason where there can be none. */
async function withLimits(
  t: Deno.TestContext,
  use: (bed: Bed) => Promise<void>,
): Promise<void> {
  const made = await makePlace(IDENTITY);
  if (typeof made === "string") return await skip(t, made);
  try {
    const bed = await Bed.make();
    bed.cgroups = made.place;
    await bed.start();
    try {
      await use(bed);
    } catch (thrown) {
      console.error(bed.launcher.log.join("\n"));
      await bed.close().catch((also) => console.error("while cleaning up:", also));
      throw thrown;
    }
    await bed.close();
  } finally {
    await made.close();
  }
}

const usage = (bed: Bed, name: string) =>
  bed.launcher.client.call("usage", { params: { principal: localpart(name) } });

Deno.test("a memory hog ends at its own limit, is told so, and its neighbour goes on", (t) =>
  withLimits(t, async (bed) => {
    const neighbour = await bed.template("neighbour", "echo up >up; exec sleep 1000");
    await bed.create("neighbour", await bed.request("neighbour", { template: neighbour }));
    // perl, for a shell's strings grow too slowly.
    const hog = await bed.template("hog", "exec perl -e '$x = \"x\" x (400 << 20); sleep 1000'", {
      resources: { memory_limit_mb: 64 },
    });
    await bed.create("hog", await bed.request("hog", { template: hog }));
    const exit = await bed.wait("hog");
    assert.equal(exit.code, 137, JSON.stringify(exit));
    assert.equal(exit.reason, "killed: memory limit 64 MiB");
    assert.equal((await bed.show("hog")).message, "killed: memory limit 64 MiB");
    assert.equal((await bed.show("neighbour")).phase, "running");
    const seen = await usage(bed, "neighbour");
    assert.equal(seen.memory_limit_bytes, 4096 * 1024 * 1024);
    assert.ok((seen.memory_bytes ?? 0) > 0 && (seen.pids ?? 0) >= 3, JSON.stringify(seen));

    // Positive control: the same hog lives where it is allowed so much.
    const fed = await bed.template(
      "fed",
      'perl -e \'$x = "x" x (400 << 20); open(F, ">fed"); print F 1; close F; sleep 1000\'',
      { resources: { memory_limit_mb: 1024 } },
    );
    await bed.create("fed", await bed.request("fed", { template: fed }));
    assert.equal(await bed.read("fed", "fed"), "1");
    assert.ok(((await usage(bed, "fed")).memory_bytes ?? 0) > 390 << 20);
  }));

Deno.test("a fork bomb stays within its process limit; kill ends all of it", (t) =>
  withLimits(t, async (bed) => {
    const bomb = await bed.template(
      "bomb",
      "exec perl -e 'while (1) { my $p = fork; if (!defined $p) { select undef, undef, undef, 0.1 } " +
        "elsif ($p == 0) { sleep 1000 } }'",
      { resources: { pids_limit: 40, cpu_quota_percent: 50 } },
    );
    await bed.create("bomb", await bed.request("bomb", { template: bomb }));
    // Either limit stops it first: the user's own by prlimit, or the group's.
    const full = await eventually("the bomb is at its limit", async () => {
      const now = await usage(bed, "bomb");
      return (now.pids ?? 0) >= 38 ? now : null;
    });
    assert.ok((full.pids ?? 0) <= 40 + 16, JSON.stringify(full));
    assert.equal(full.pids_limit, 40 + 16);
    const params = { principal: localpart("bomb") };
    assert.deepEqual(await bed.launcher.client.call("kill", { params }), { killed: true });
    const exit = await bed.wait("bomb");
    assert.equal(exit.code, 137);
    await eventually("nothing of it is left", async () => (await usage(bed, "bomb")).pids === 0);
  }));

Deno.test("what a template allows of the disk is what a sandbox gets of it", (t) =>
  withLimits(t, async (bed) => {
    const blkio = bed.cgroups!.dirs["blkio"];
    if (blkio === undefined) return await skip(t, "no control groups for disks here");
    const file = async (name: string) =>
      await Deno.readTextFile(
        `${blkio}/${await bed.hash(name)}.agent/blkio.throttle.write_bps_device`,
      ).catch(() => null);
    // Past the page cache, which version 1 does not count.
    const write = (megabytes: number) =>
      `a=$(date +%s%N); dd if=/dev/zero of=x bs=1M count=${megabytes} oflag=direct 2>/dev/null; ` +
      'echo "$? $((($(date +%s%N) - a) / 1000000))" >done; exec sleep 1000';
    const asked = { resources: { io_mb_per_second: 2 } };
    const slow = await bed.template("slow", write(6), asked);
    await bed.create("slow", await bed.request("slow", { template: slow }));
    const limited = await file("slow");
    if (limited === null) return await skip(t, "this kernel does not limit disks' rates");
    const disk = await diskOf(`${bed.dir}/state/workspaces/slow`);
    if (disk === null) return await skip(t, "the workspaces are on no disk of their own number");
    assert.ok(limited.split("\n").includes(`${disk} ${2 << 20}`), limited);
    const [status, milliseconds] = (await bed.read("slow", "done")).trim().split(" ").map(Number);
    assert.equal(status, 0);
    assert.ok(milliseconds! > 1_500, `6 MiB at 2 MiB a second took ${milliseconds} ms`);

    // Control: a template that says nothing has no such limit.
    const free = await bed.template("free", write(1));
    await bed.create("free", await bed.request("free", { template: free }));
    assert.match(await bed.read("free", "done"), /^0 /);
    assert.equal((await file("free"))?.trim(), "");
  }));

/** `major:minor` of the disk that holds it, when it is a whole one. */
async function diskOf(path: string): Promise<string | null> {
  const { dev } = await Deno.stat(path);
  const number = `${dev >> 8 & 0xfff}:${dev & 0xff}`;
  for await (const { name } of Deno.readDir("/sys/block")) {
    if ((await Deno.readTextFile(`/sys/block/${name}/dev`)).trim() === number) return number;
  }
  return null;
}

Deno.test("a frozen sandbox does nothing until it is thawed; a new launcher keeps it frozen", (t) =>
  withLimits(t, async (bed) => {
    const ticker = await bed.template("ticker", "while :; do echo x >>ticks; sleep 0.01; done");
    await bed.create("ticker", await bed.request("ticker", { template: ticker }));
    await bed.read("ticker", "ticks");
    const size = async () => (await Deno.stat(`${bed.dir}/state/workspaces/ticker/ticks`)).size;
    const params = { principal: localpart("ticker") };
    const frozen = await bed.launcher.client.call("freeze", { params });
    assert.equal(frozen.frozen, true);
    const before = await usage(bed, "ticker");
    assert.equal(before.frozen, true);
    const still = await size();
    await bed.end("SIGKILL");
    await bed.start();
    assert.equal((await bed.show("ticker")).frozen, true);
    // A start looks at it thawed for a moment.
    assert.ok(await size() >= still);
    const now = await size();
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(await size(), now);
    await assert.rejects(
      bed.launcher.client.call("relay", { params }),
      /it is frozen/,
    );
    const thawed = await bed.launcher.client.call("thaw", { params });
    assert.equal(thawed.frozen, false);
    await eventually("it goes on", async () => await size() > now);
    // Destroying a frozen one works too.
    await bed.launcher.client.call("freeze", { params });
    assert.equal((await bed.destroy("ticker", 200)).removed, true);
  }));

Deno.test("a start removes control groups that nobody owns, and nothing else", (t) =>
  withLimits(t, async (bed) => {
    await bed.end("SIGKILL");
    const { dirs } = bed.cgroups!;
    const stray = `${await principalHash(localpart("gone"))}.agent`;
    for (const dir of Object.values(dirs)) {
      for (const name of [stray, "someone-else"]) {
        await Deno.mkdir(`${dir}/${name}`).catch(() => {});
        await Deno.chown(`${dir}/${name}`, IDENTITY.uid, IDENTITY.gid);
      }
    }
    await bed.start();
    for (const dir of Object.values(dirs)) {
      await assert.rejects(Deno.stat(`${dir}/${stray}`), Deno.errors.NotFound);
      await Deno.stat(`${dir}/someone-else`);
    }
    for (const dir of new Set(Object.values(dirs))) {
      await Deno.remove(`${dir}/someone-else`).catch(() => {});
    }
  }));

Deno.test("without a place: agents run, and usage and freeze say what is lacking", async () => {
  const bed = await Bed.make();
  await bed.start();
  try {
    await bed.create("plain", await bed.request("plain"));
    await assert.rejects(usage(bed, "plain"), /has no control group/);
    await assert.rejects(
      bed.launcher.client.call("freeze", { params: { principal: localpart("plain") } }),
      /has no control group/,
    );
  } finally {
    await bed.close();
  }
});
