// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Client } from "../../lib/http/mod.ts";
import { createLogger } from "../../lib/log.ts";
import type { Localpart } from "../../lib/ref/mod.ts";
import { type Inventory, inventoryOf } from "../../lib/hwinfo/mod.ts";
import { parseEvent } from "../../lib/schema/mod.ts";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import type { launcherApi, Principal } from "../../launcher/api.ts";
import type { Content } from "../../messaging/mod.ts";
import { beat, BEAT_MS } from "./heartbeat.ts";
import { type Host, readHost } from "./host.ts";

const USER = "@bureau/fleet/dev/machine/one:bureau.local";
const AGENT = "@bureau/fleet/dev/agent/a:bureau.local";
const HOUR = 60 * 60_000;

/** Two sockets of two cores with two threads each. */
const FACTS = new Map([
  ...[0, 1, 2, 3, 4, 5, 6, 7].flatMap((cpu): [string, string][] => [
    [`/sys/devices/system/cpu/cpu${cpu}/topology/core_id`, `${cpu % 2}`],
    [`/sys/devices/system/cpu/cpu${cpu}/topology/physical_package_id`, `${cpu < 4 ? 0 : 1}`],
  ]),
  ["/sys/devices/system/cpu/cpu0/cache/index3/size", "512K"],
  ["/sys/devices/system/node/node0/cpulist", "0-3"],
  ["/sys/devices/system/node/node1/cpulist", "4-7"],
  ["/sys/devices/virtual/dmi/id/sys_vendor", "Dell Inc."],
  ["/sys/devices/virtual/dmi/id/product_name", "PowerEdge R750"],
  ["/sys/class/drm/card0/device/vendor", "0x1002"],
  ["/sys/class/drm/card0/device/device", "0x744c"],
  ["/sys/class/drm/card0/device/mem_info_vram_total", "25753026560"],
  ["/sys/class/drm/card0/device/uevent", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n"],
]);

interface Scene {
  readonly clock: HandClock;
  readonly written: { type: string; key: string; content: Content }[];
  host: Host;
  fails: boolean;
  hardware: Inventory | null;
  usage: { cpu_ms: number; memory_bytes: number };
  status: Principal | null;
  close(): Promise<void>;
}

function scene(present: Content | null = null): Scene {
  const clock = new HandClock();
  const stop = new AbortController();
  const written: Scene["written"] = [];
  const it: Scene = {
    clock,
    written,
    host: {
      hostname: "h",
      kernel: "6.1",
      cpuModel: "m",
      cpus: 4,
      cpuBusy: 0,
      cpuTotal: 0,
      memoryTotal: 8 * 1024 ** 3,
      memoryUsed: 1024 ** 3,
      swapTotal: 0,
      uptimeSeconds: 5,
    },
    fails: false,
    hardware: inventoryOf(FACTS),
    usage: { cpu_ms: 0, memory_bytes: 0 },
    status: null,
    close: async () => {
      stop.abort();
      await running;
    },
  };
  const running = beat({
    bootstrap: { user_id: USER, fleet: "bureau/fleet/dev", server_name: "bureau.local" },
    version: "0.1.0",
    client: {
      resolveAlias: (alias) => {
        assert.equal(alias, "#bureau/fleet/dev/machine:bureau.local");
        return it.fails ? Promise.reject(new Error("away")) : Promise.resolve("!r");
      },
      join: (room) => Promise.resolve(room),
      getState: () => Promise.resolve(present),
      putState: (room, type, key, content) => {
        assert.equal(room, "!r");
        if (it.fails) return Promise.reject(new Error("away"));
        written.push({ type, key, content });
        return Promise.resolve("$e");
      },
    },
    launcher: {
      call: (route: string) => {
        if (route !== "hardware") return Promise.resolve(it.usage);
        return it.hardware === null
          ? Promise.reject(new Error("away"))
          : Promise.resolve(it.hardware);
      },
    } as unknown as Client<typeof launcherApi>,
    principals: () => [{
      userId: AGENT,
      localpart: AGENT.slice(1).split(":")[0] as Localpart,
      status: it.status,
    }],
    clock,
    log: createLogger("test", {}, () => {}),
    signal: stop.signal,
    host: () => it.host,
    random: () => 0,
  });
  return it;
}

const statuses = ({ written }: Scene) =>
  written.filter(({ type }) => type === "m.bureau.machine_status")
    .map(({ content }) => parseEvent("m.bureau.machine_status", content)!);

Deno.test("a machine says once what it is made of, and keeps an operator's labels", async () => {
  const labels = { rack: "7" };
  const it = scene({ labels, hostname: "old" });
  for (let n = 0; n < 30; n++) await it.clock.next();
  const infos = it.written.filter(({ type }) => type === "m.bureau.machine_info");
  assert.equal(infos.length, 1);
  assert.equal(infos[0]!.key, USER.slice(1));
  const info = parseEvent("m.bureau.machine_info", infos[0]!.content)!;
  assert.deepEqual(info.labels, labels);
  assert.deepEqual(info.cpu, {
    model: "m",
    sockets: 2,
    cores_per_socket: 2,
    threads_per_core: 2,
    l3_cache_kb: 512,
  });
  assert.deepEqual([info.numa_nodes, info.board_vendor, info.board_name], [
    2,
    "Dell Inc.",
    "PowerEdge R750",
  ]);
  assert.deepEqual(info.gpus, [{
    vendor: "amd",
    pci_slot: "0000:03:00.0",
    driver: "amdgpu",
    pci_device_id: "1002:744c",
    vram_total_bytes: 25753026560,
  }]);
  assert.equal(info.memory_total_mb, 8192);
  await it.close();
  // What the room says already is not said again.
  const again = scene(infos[0]!.content);
  await again.clock.next();
  assert.deepEqual(again.written.map(({ type }) => type), ["m.bureau.machine_status"]);
  await again.close();
});

Deno.test("hardware that the launcher can't tell now is told when it can, and not forgotten meanwhile", async () => {
  const it = scene();
  it.hardware = null;
  await it.clock.next();
  const infos = () => it.written.filter(({ type }) => type === "m.bureau.machine_info");
  assert.deepEqual(infos().map(({ content }) => content["gpus"]), [[]]);
  it.hardware = inventoryOf(FACTS);
  await it.clock.next();
  assert.equal((infos()[1]!.content["gpus"] as unknown[]).length, 1);
  await it.close();
  const again = scene(infos()[1]!.content);
  again.hardware = null;
  for (let n = 0; n < 3; n++) await again.clock.next();
  assert.ok(!again.written.some(({ type }) => type === "m.bureau.machine_info"));
  await again.close();
});

Deno.test("a machine at rest says so every five minutes, and what changes within one", async () => {
  const it = scene();
  await it.clock.next();
  assert.equal(statuses(it).length, 1);
  for (let n = 0; n < 10; n++) await it.clock.next();
  assert.equal(statuses(it).length, 3, "ten minutes: two more");
  it.host = { ...it.host, cpuBusy: 900, cpuTotal: 1_000 };
  it.status = { phase: "running" } as Principal;
  it.usage = { cpu_ms: BEAT_MS / 2, memory_bytes: 100 * 1024 ** 2 };
  await it.clock.next();
  const last = statuses(it).at(-1)!;
  assert.equal(statuses(it).length, 4);
  assert.equal(last.cpu_percent, 90);
  assert.deepEqual(last.sandboxes, { running: 1, idle: 0 });
  assert.deepEqual(last.principals, {
    [AGENT]: { cpu_percent: 50, memory_mb: 100, status: "running" },
  });
  await it.close();
});

Deno.test("a host that slept ten hours says one thing when it wakes", async () => {
  const it = scene();
  for (let n = 0; n < 2; n++) await it.clock.next();
  const before = statuses(it).length;
  await it.clock.next(10 * HOUR);
  assert.equal(statuses(it).length, before + 1);
  for (let n = 0; n < 4; n++) await it.clock.next();
  assert.equal(statuses(it).length, before + 1, "and nothing more within five minutes");
  await it.close();
});

Deno.test("a homeserver that is away is tried once a minute, and told when it is back", async () => {
  const it = scene();
  it.fails = true;
  for (let n = 0; n < 20; n++) await it.clock.next();
  assert.equal(it.written.length, 0);
  assert.equal(it.clock.sleeps, 21);
  it.fails = false;
  await it.clock.next();
  assert.equal(statuses(it).length, 1);
  await it.close();
});

Deno.test("a day of beats keeps nothing", async () => {
  const it = scene();
  it.status = { phase: "running" } as Principal;
  const end = it.clock.now() + 24 * HOUR;
  let n = 0;
  while (it.clock.now() < end) {
    it.usage = { cpu_ms: n++ * BEAT_MS, memory_bytes: (n % 7) * 100 * 1024 ** 2 };
    await it.clock.next();
    assert.equal(it.clock.sleepers, 1);
  }
  const minutes = 24 * 60;
  const told = statuses(it).length;
  assert.ok(told > minutes / 5 - 2 && told <= minutes + 1, `${told} statuses in a day`);
  await it.close();
});

Deno.test("what this host says of itself can be told", () => {
  const host = readHost();
  assert.ok(host.cpus >= 1 && host.memoryTotal > host.memoryUsed && host.memoryUsed > 0);
  assert.ok(host.cpuTotal >= host.cpuBusy && host.cpuBusy > 0);
});
