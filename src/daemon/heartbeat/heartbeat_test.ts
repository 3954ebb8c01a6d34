// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Client } from "../../lib/http/mod.ts";
import { createLogger } from "../../lib/log.ts";
import type { Localpart } from "../../lib/ref/mod.ts";
import { parseEvent } from "../../lib/schema/mod.ts";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import type { launcherApi, Principal } from "../../launcher/api.ts";
import type { Content } from "../../messaging/mod.ts";
import { beat, BEAT_MS } from "./heartbeat.ts";
import { type Host, readHost } from "./host.ts";

const USER = "@bureau/fleet/dev/machine/one:bureau.local";
const AGENT = "@bureau/fleet/dev/agent/a:bureau.local";
const HOUR = 60 * 60_000;

interface Scene {
  readonly clock: HandClock;
  readonly written: { type: string; key: string; content: Content }[];
  host: Host;
  fails: boolean;
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
    launcher: { call: () => Promise.resolve(it.usage) } as unknown as Client<typeof launcherApi>,
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
  assert.equal(info.cpu.cores_per_socket, 4);
  assert.equal(info.memory_total_mb, 8192);
  await it.close();
  // What the room says already is not said again.
  const again = scene(infos[0]!.content);
  await again.clock.next();
  assert.deepEqual(again.written.map(({ type }) => type), ["m.bureau.machine_status"]);
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
