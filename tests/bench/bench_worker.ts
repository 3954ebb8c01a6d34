// SPDX-License-Identifier: Apache-2.0

/**
 * Sub-agents: how long until a new worker has answered, and a warm one, and one that a host holds, and what the way of an
 * event through worker and parent adds to having it. `echo`, from the bundle that is shipped, without a sandbox (bench_sandbox_start has its cost).
 */
import { hostClient, placeOnHost } from "../../src/agent/host/client.ts";
import { serveHost } from "../../src/agent/host/serve.ts";
import { createLogger } from "../../src/lib/log.ts";
import { ParentWorker } from "../../src/agent/parent/mod.ts";
import type { ProvisionInput } from "../../src/agent/provision/mod.ts";
import { percentile, report } from "./report.ts";
import { bundledWorkers } from "./worker_bundle.ts";

const COLD = 20;
const WARM = 300;
/** Events of a run, and the pause between two, as a model might take it. */
const EVENTS = 500;
const PAUSE_MS = 4;

const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "bw-" });
const launcher = await bundledWorkers(dir);
const spec = (child_id: string, more: Partial<ProvisionInput> = {}): ProvisionInput => ({
  version: 1,
  identity: { child_id },
  executor: { kind: "echo" },
  fabric_dir: `${dir}/f`,
  ...more,
});

try {
  const cold: number[] = [];
  for (let n = 0; n < COLD; n++) {
    const begin = performance.now();
    const worker = await ParentWorker.start(spec(`cold-${n}`), { launcher });
    await worker.run({ assignment: "x" });
    cold.push(performance.now() - begin);
    await worker.end();
  }
  report({ id: "worker.cold", value: percentile(cold, 0.5), unit: "ms" });
  const worker = await ParentWorker.start(spec("warm", { reusable: true }), { launcher });
  const warm: number[] = [];
  for (let n = 0; n < WARM; n++) {
    const begin = performance.now();
    await worker.run({ assignment: "x" });
    warm.push(performance.now() - begin);
  }
  report({ id: "worker.warm", value: percentile(warm, 0.5), unit: "ms" });
  await worker.end();

  const stop = new AbortController();
  const host_dir = `${dir}/h`;
  const served = serveHost({
    bootstrap: { version: 1, mode: "host", host_dir, state_dir: dir },
    isServed: () => Promise.resolve(false),
    launcher: () => launcher,
    log: createLogger("host"),
    signal: stop.signal,
  });
  const client = hostClient(host_dir);
  while (await client.call("host").then(() => false, () => true)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const held = JSON.parse(JSON.stringify(spec("held")));
  await client.call("spawn", { body: { name: "held", size: null, launcher: {}, spec: held } });
  const placed: number[] = [];
  for (let n = 0; n < WARM; n++) {
    const begin = performance.now();
    const worker = await placeOnHost({ host_dir, name: "held" }, held);
    await worker.run({ assignment: "x" });
    await worker.leave();
    placed.push(performance.now() - begin);
  }
  report({ id: "worker.host.run", value: percentile(placed, 0.5), unit: "ms" });
  client.close();
  stop.abort();
  await served;

  // A program writes the time; its line is an event here.
  const script =
    `import time,sys\nfor _ in range(${EVENTS}):\n  print(time.time_ns(), flush=True)\n  time.sleep(${
      PAUSE_MS / 1000
    })`;
  const teller = await ParentWorker.start(
    spec("teller", {
      executor: { kind: "cli_adapter", command: "/usr/bin/python3", args: ["-c", script] },
    }),
    { launcher },
  );
  const delays: number[] = [];
  await teller.run({ assignment: "" }, {
    onEvent: (event) => {
      const written = Number((event as { text: string }).text) / 1e6;
      delays.push(performance.timeOrigin + performance.now() - written);
    },
  });
  await teller.end();
  report({ id: "worker.event.p99", value: percentile(delays, 0.99), unit: "ms" });
  report({ id: "worker.event.p50", value: percentile(delays, 0.5), unit: "ms" });
} finally {
  await Deno.remove(dir, { recursive: true });
}
