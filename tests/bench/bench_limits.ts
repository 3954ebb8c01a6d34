// SPDX-License-Identifier: Apache-2.0

/**
 * What one agent that takes all it can does to a neighbour: the p99 of the neighbour's proxied requests,
 * alone and beside each attack, in one run. Real launcher, cells, control groups and proxies. Alone and beside
 * alternate, the attacker frozen and thawed, so that a machine whose load changes meanwhile changes both.
 */
import { Bed, bundleFor, IDENTITY, localpart } from "../../src/launcher/testing/harness.ts";
import { makePlace } from "../../src/launcher/testing/cgroups.ts";
import { slices } from "../../src/launcher/limits_cell.ts";
import { startGate } from "../../src/proxy/testing/gate.ts";
import { percentile, report, skip } from "./report.ts";

const WARM_UP = 3_000;
const ROUNDS = 12;
/** A round of one kind; a p99 is of all rounds' requests. */
const REQUESTS = 500;
/** Of what a template may ask for; the attackers have what everybody has. */
const ATTACKS: readonly (readonly [name: string, script: string])[] = [
  [
    "fork-bomb",
    "touch up; exec perl -e 'while (1) { my $p = fork; if (defined $p && $p == 0) { 1 while 1 } }'",
  ],
  ["flood", "touch up; exec yes"],
  [
    "memory-hog",
    "touch up; while :; do perl -e '$x = \"x\" x (600 << 20)' 2>/dev/null; done",
  ],
  [
    "disk-fill",
    "touch up; while :; do dd if=/dev/zero of=/tmp/x bs=1M count=500 2>/dev/null; done",
  ],
];

const made = await makePlace(IDENTITY);
if (typeof made === "string") skip("limits.neighbour", made);
else {
  try {
    await favour(made.place.dirs["cpu"]);
    await measure(made.place);
  } finally {
    await leave(made.place.dirs["cpu"]);
    await made.close();
  }
}

/** As `favour_bureau` of tasks/lib.sh: this process stands for the daemon, its gate and whoever asks. */
async function favour(cpu: string | undefined): Promise<void> {
  if (cpu !== undefined) {
    await Deno.mkdir(`${cpu}/up`);
    await Deno.writeTextFile(`${cpu}/up/cpu.shares`, "102400");
    await Deno.writeTextFile(`${cpu}/up/cgroup.procs`, String(Deno.pid));
  }
  const threads = `for task in /proc/${Deno.pid}/task/*; do ${
    slices("${task##*/}", 100_000)
  }; done`;
  await new Deno.Command("/bin/sh", { args: ["-c", threads] }).output();
}

async function leave(cpu: string | undefined): Promise<void> {
  if (cpu === undefined) return;
  await Deno.writeTextFile(`${cpu.slice(0, cpu.lastIndexOf("/"))}/cgroup.procs`, String(Deno.pid));
  await Deno.remove(`${cpu}/up`);
}

async function measure(place: Exclude<typeof made, string>["place"]): Promise<void> {
  const upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("ok"),
  );
  const host = `127.0.0.1:${upstream.addr.port}`;
  const bed = await Bed.make();
  bed.cgroups = place;
  await bed.start();
  const template = await bed.template("neighbour", "exec sleep 100000", {
    proxy_services: { api: { upstream: `http://${host}`, inject_headers: { "x-key": "KEY" } } },
  });
  const bundle = bundleFor("neighbour", { KEY: { value: "a value of it", allowed_hosts: [host] } });
  const request = await bed.request("neighbour", { template, bundle });
  await bed.create("neighbour", { ...request, grants: [{ actions: ["http/api"] }] });
  const cell = await bed.cell("neighbour");
  const gate = await startGate({
    path: `${cell}/egress/egress.sock`,
    route: () => upstream.addr.port,
  });
  const client = Deno.createHttpClient({
    proxy: { transport: "unix", path: `${cell}/agent/proxy.sock` },
  });
  const sample = async (requests: number) => {
    const times: number[] = [];
    for (let n = 0; n < requests; n++) {
      const before = performance.now();
      const answer = await fetch("http://192.0.2.1/http/api/", { client });
      if (await answer.text() !== "ok") throw new Error(`status ${answer.status}`);
      times.push(performance.now() - before);
    }
    return times;
  };
  await sample(WARM_UP);
  let worst = 0;
  const notes: string[] = [];
  for (const [name, script] of ATTACKS) {
    const attacker = await bed.template(name, script, { resources: { memory_limit_mb: 512 } });
    await bed.create(name, await bed.request(name, { template: attacker }));
    await bed.read(name, "up");
    const params = { principal: localpart(name) };
    const alone: number[] = [];
    const beside: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await bed.launcher.client.call("freeze", { params });
      alone.push(...await sample(REQUESTS));
      await bed.launcher.client.call("thaw", { params });
      beside.push(...await sample(REQUESTS));
    }
    await bed.destroy(name);
    const [before, attacked] = [percentile(alone, 0.99), percentile(beside, 0.99)];
    worst = Math.max(worst, attacked / before);
    notes.push(
      `${name} ${(attacked / before).toFixed(2)}× (${before.toFixed(2)} → ${
        attacked.toFixed(2)
      } ms)`,
    );
  }
  report({
    id: "limits.neighbour",
    value: worst,
    unit: "×",
    note: `${notes.join(", ")}; p99 of ${ROUNDS * REQUESTS} requests each`,
  });
  client.close();
  await gate.stop();
  await bed.destroy("neighbour");
  await bed.close();
  await upstream.shutdown();
}
