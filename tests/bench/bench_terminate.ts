// SPDX-License-Identifier: Apache-2.0

/**
 * What it costs that TLS ends in the proxy, which swaps a placeholder, against the same proxy's blind tunnel and
 * the upstream itself, in one run: a handshake, a request, memory.
 */
import { buildRuntime, startCell } from "../../src/proxy/testing/cell.ts";
import { makeAuthority } from "../../src/proxy/testing/authority.ts";
import { bridgeTo } from "../../src/proxy/testing/bridge.ts";
import { bootstrapWith, makeCertificates } from "../../src/proxy/testing/harness.ts";
import { ask, connectTls, measureLatency } from "./proxy_client.ts";
import { memoryOf, percentile, report } from "./report.ts";

const CONNECTIONS = 200;
const PLACEHOLDER = "bureau-placeholder-bench-0123456789abcdef0123456789abcdef";

const here = new URL(".", import.meta.url).pathname;
const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
const children: Deno.ChildProcess[] = [];
const pause = () => new Promise((resolve) => setTimeout(resolve, 1500));

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function listens(port: number): Promise<void> {
  for (let attempt = 0;; attempt++) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (thrown) {
      if (attempt > 500) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function spawnGate(socket: string, target: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", `${here}proxy_gate.ts`, socket, target],
    stdout: "piped",
  }).spawn();
  children.push(child);
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
}

try {
  const { ca } = await makeCertificates(dir, "DNS:localhost");
  const [plainPort, port] = [freePort(), freePort()];
  children.push(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-A", `${here}proxy_upstream.ts`, dir, `${plainPort}`, `${port}`],
    }).spawn(),
  );
  await listens(port);
  const host = `localhost:${port}`;
  const authority = await makeAuthority();
  const runtime = await buildRuntime(dir);
  const start = async (name: string, swaps: boolean) => {
    await Deno.mkdir(`${dir}/${name}/egress`, { recursive: true });
    await spawnGate(`${dir}/${name}/egress/egress.sock`, host);
    const placeholders = [{ placeholder: PLACEHOLDER, value: "bench-secret", hosts: [host], ca }];
    const cell = await startCell(
      `${dir}/${name}`,
      runtime,
      bootstrapWith({ egress_authority: authority, ...(swaps ? { placeholders } : {}) }),
    );
    const bridge = bridgeTo(`${dir}/${name}/agent/forward.sock`);
    const caCerts = [swaps ? authority.certificate : ca];
    const connect = async () => {
      const tcp = await Deno.connect({ hostname: "127.0.0.1", port: bridge.port });
      tcp.setNoDelay(true);
      await tcp.write(new TextEncoder().encode(`CONNECT ${host} HTTP/1.1\r\n\r\n`));
      await tcp.read(new Uint8Array(200));
      const connection = await Deno.startTls(tcp, { hostname: "localhost", caCerts });
      await connection.handshake();
      return connection;
    };
    return { cell, bridge, connect };
  };
  const ended = await start("ended", true);
  const blind = await start("blind", false);
  const pid = await ended.cell.pid();
  const path = `/?k=${PLACEHOLDER}`;
  const timed = async (action: () => Promise<Deno.Conn>, count: number) => {
    const sample: number[] = [];
    for (let turn = 0; turn < count; turn++) {
      const begin = performance.now();
      const connection = await action();
      sample.push((performance.now() - begin) * 1000);
      connection.close();
    }
    return sample;
  };
  await pause();
  const fresh = (await memoryOf(pid)).privateMb;
  const [cold] = await timed(ended.connect, 1);
  {
    using connection = await ended.connect();
    await ask(connection, path, host);
  }
  await pause();
  const used = (await memoryOf(pid)).privateMb;
  report({
    id: "terminate.memory.used",
    value: used,
    unit: "MB",
    note: `${fresh.toFixed(1)} MB before the first`,
  });

  const handshakes = { ended: [] as number[], blind: [] as number[] };
  const latency = { ended: [] as number[], blind: [] as number[], direct: [] as number[] };
  for (let round = 0; round < 5; round++) {
    handshakes.blind.push(...await timed(blind.connect, 30));
    handshakes.ended.push(...await timed(ended.connect, 30));
    latency.direct.push(...await measureLatency(() => connectTls(port, ca), path, 400, host));
    latency.blind.push(...await measureLatency(blind.connect, path, 400, host));
    latency.ended.push(...await measureLatency(ended.connect, path, 400, host));
  }
  report({
    id: "terminate.handshake",
    value: percentile(handshakes.ended, 0.5) / 1000,
    unit: "ms",
    alternative: { name: "blind tunnel", value: percentile(handshakes.blind, 0.5) / 1000 },
    note: `the first of all, with its certificate and the TLS library, ${
      (cold! / 1000).toFixed(0)
    } ms`,
  });
  const median = (sample: number[]) => percentile(sample, 0.5);
  report({
    id: "terminate.latency.added_p50",
    value: median(latency.ended) - median(latency.direct),
    unit: "µs",
    alternative: { name: "blind tunnel", value: median(latency.blind) - median(latency.direct) },
    note: `direct ${median(latency.direct).toFixed(0)} µs; both through a bridge from TCP`,
  });

  const open = await Promise.all(Array.from({ length: CONNECTIONS }, ended.connect));
  await Promise.all(open.map((connection) => ask(connection, path, host)));
  await pause();
  report({
    id: "terminate.memory.loaded",
    value: (await memoryOf(pid)).privateMb,
    unit: "MB",
    note: `${CONNECTIONS} connections stand`,
  });
  for (const connection of open) connection.close();
  for (const { cell, bridge } of [ended, blind]) {
    bridge.stop();
    cell.kill("SIGKILL");
    await cell.status;
  }
} finally {
  for (const child of children) {
    child.kill("SIGTERM");
    await child.status;
  }
  await Deno.remove(dir, { recursive: true });
}
