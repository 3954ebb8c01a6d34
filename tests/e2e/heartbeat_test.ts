// SPDX-License-Identifier: Apache-2.0

/** What a machine says of itself in the fleet's machine room. */
import assert from "node:assert/strict";
import { eventually, withBureau } from "./harness.ts";
import { roomId, stateEvents } from "./matrix.ts";

async function names(dir: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
  } catch {
    // No such machine.
    return [];
  }
}

Deno.test("a machine that was just started says what it is made of, and how it is", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const room = await roomId(bureau, "bureau/fleet/dev/machine");
    // The first may be of before the example agent ran.
    const status = await eventually(
      "its status, with an agent that runs",
      async () =>
        (await stateEvents(bureau, room, "m.bureau.machine_status")).find(({ content }) =>
          (content["sandboxes"] as { running: number }).running >= 1
        ),
      180_000,
    );
    const info = await eventually(
      "what it is made of",
      async () => (await stateEvents(bureau, room, "m.bureau.machine_info"))[0],
      60_000,
    );
    assert.equal(info!.content["hostname"], Deno.hostname());
    assert.equal(info!.content["principal"], status.sender);
    // By the kernel's files, which only the launcher's cell sees.
    const cpuinfo = await Deno.readTextFile("/proc/cpuinfo");
    const cpu = info!.content["cpu"] as Record<string, number>;
    assert.ok(cpu["sockets"]! >= 1 && cpu["cores_per_socket"]! >= 1);
    const model = /^model name\s*: (.+)$/m.exec(cpuinfo)?.[1]?.trim();
    if (model !== undefined) assert.equal(cpu["model"], model);
    const nodes = (await names("/sys/devices/system/node")).filter((one) => /^node\d+$/.test(one));
    assert.equal(info!.content["numa_nodes"] ?? 0, nodes.length);
    const vendor = await Deno.readTextFile("/sys/devices/virtual/dmi/id/sys_vendor").catch(() =>
      ""
    );
    assert.equal(info!.content["board_vendor"] ?? "", vendor.trim());
    const shown = await bureau.cli("machine", "show");
    assert.match(shown.stdout, /^cpu +.*sockets \d+, cores \d+, threads \d+$/m);
    assert.match(shown.stdout, /^memory +\d+ MiB, NUMA nodes \d+$/m);
    assert.equal(status.content["principal"], status.sender);
    assert.ok((status.content["memory_used_mb"] as number) > 0);
  });
});
