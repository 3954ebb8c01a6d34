// SPDX-License-Identifier: Apache-2.0

/**
 * A worker on another machine: what the way over TLS and through the resident there adds to an event, and to the start of
 * a worker. Resident, worker and parent are processes of this machine: the network between them is nobody's.
 */
import { ParentWorker, type Worker } from "../../src/agent/parent/mod.ts";
import { placeAtResident } from "../../src/agent/place/remote.ts";
import type { ProvisionInput } from "../../src/agent/provision/mod.ts";
import { parseAuthority } from "../../src/lib/authority.ts";
import { percentile, report } from "./report.ts";
import { bundledWorkers } from "./worker_bundle.ts";

/** Events of a run, the pause between two, and how often each way is taken, in turns. */
const EVENTS = 500;
const PAUSE_MS = 4;
const TURNS = 3;
const STARTS = 10;

const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "bp-" });
const launcher = await bundledWorkers(dir);
const token = crypto.randomUUID();
const resident = new Deno.Command(Deno.execPath(), {
  args: [
    "run",
    "-A",
    "--quiet",
    `${import.meta.dirname}/place_resident.ts`,
    `${dir}/runtime`,
    `${dir}/r`,
    token,
  ],
  stdout: "piped",
}).spawn();

let made = 0;
const spec = (more: Partial<ProvisionInput> = {}): ProvisionInput => ({
  version: 1,
  identity: { child_id: `c${made++}` },
  executor: { kind: "echo" },
  fabric_dir: `${dir}/f`,
  ...more,
});

/** A program writes the time; its line is an event here. */
const script =
  `import time\nfor _ in range(${EVENTS}):\n  print(time.time_ns(), flush=True)\n  time.sleep(${
    PAUSE_MS / 1000
  })`;

async function delaysOf(worker: Worker): Promise<number[]> {
  const delays: number[] = [];
  await worker.run({ assignment: "" }, {
    onEvent: (event) => {
      const written = Number((event as { text: string }).text) / 1e6;
      delays.push(performance.timeOrigin + performance.now() - written);
    },
  });
  await worker.end();
  return delays;
}

try {
  const { value } = await resident.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
  const { endpoint, pin } = JSON.parse(value!) as { endpoint: string; pin: string };
  const there = {
    at: parseAuthority(endpoint.slice("wss://".length))!,
    pin,
    token,
    socket: `${dir}/o.sock`,
  };
  const local = (more?: Partial<ProvisionInput>) => ParentWorker.start(spec(more), { launcher });
  const remote = (more?: Partial<ProvisionInput>) => placeAtResident(there, spec(more));

  const teller: Partial<ProvisionInput> = {
    executor: { kind: "cli_adapter", command: "/usr/bin/python3", args: ["-c", script] },
  };
  const [near, far]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < TURNS; turn++) {
    near.push(...await delaysOf(await local(teller)));
    far.push(...await delaysOf(await remote(teller)));
  }
  const [here, away] = [percentile(near, 0.99), percentile(far, 0.99)];
  report({
    id: "place.remote.added_p99",
    value: away - here,
    unit: "ms",
    alternative: { name: "a local worker's Unix socket, whole way", value: here },
  });
  report({ id: "place.remote.ratio_p99", value: away / here, unit: "×" });
  report({
    id: "place.remote.added_p50",
    value: percentile(far, 0.5) - percentile(near, 0.5),
    unit: "ms",
    alternative: { name: "a local worker's Unix socket, whole way", value: percentile(near, 0.5) },
  });

  const cold = async (start: typeof local | typeof remote) => {
    const times: number[] = [];
    for (let n = 0; n < STARTS; n++) {
      const begin = performance.now();
      const worker = await start();
      await worker.run({ assignment: "x" });
      times.push(performance.now() - begin);
      await worker.end();
    }
    return percentile(times, 0.5);
  };
  const [startHere, startAway] = [await cold(local), await cold(remote)];
  report({
    id: "place.remote.cold",
    value: startAway - startHere,
    unit: "ms",
    alternative: { name: "a local worker, whole start", value: startHere },
  });
} finally {
  resident.kill("SIGTERM");
  await resident.status;
  await Deno.remove(dir, { recursive: true });
}
