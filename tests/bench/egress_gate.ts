// SPDX-License-Identifier: Apache-2.0

/**
 * What the egress gates cost, in their thread: `deno run -A --unstable-worker-options tests/bench/egress_gate.ts`.
 * Connects, throughput against loopback itself, and a small request beside another principal's flood.
 */
import { GateThread, type Thread } from "../../src/daemon/egress/gate_thread.ts";
import { closeQuietly, writeAll } from "../../src/lib/duplex.ts";
import { createLogger } from "../../src/lib/log.ts";

const MODULE = new URL("../../src/cmd/gate_worker.ts", import.meta.url);
const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
const encoder = new TextEncoder();

/** In a process of its own: `G<n>` is answered with n bytes, anything else is echoed. */
const SERVER = `
  const l = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(l.addr.port);
  const piece = new Uint8Array(65536);
  for await (const c of l) (async () => {
    c.setNoDelay();
    const b = new Uint8Array(65536);
    for (let n = await c.read(b); n !== null; n = await c.read(b)) {
      if (b[0] !== 71) { await c.write(b.subarray(0, n)); continue; }
      let left = Number(new TextDecoder().decode(b.subarray(1, n)));
      while (left > 0) left -= await c.write(piece.subarray(0, Math.min(left, 65536)));
    }
    c.close();
  })().catch(() => {});`;
const processes: Deno.ChildProcess[] = [];

async function startUpstream(): Promise<number> {
  const server = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", SERVER],
    stdout: "piped",
  }).spawn();
  processes.push(server);
  const { value } = await server.stdout.getReader().read();
  return Number(new TextDecoder().decode(value));
}

/** One for each principal: it is the gate that is measured, not who answers. */
const port = await startUpstream();
const target = `127.0.0.1:${port}`;
const flooded = `127.0.0.1:${await startUpstream()}`;

const rss = () => Deno.memoryUsage().rss / 1e6;
const before = rss();
const gates = new GateThread({
  log: createLogger("bench", {}, () => {}),
  start: () =>
    new Worker(Deno.args[0] ?? MODULE, {
      type: "module",
      deno: { permissions: { net: true, read: [dir], write: [dir] } },
    }) as Thread,
});
for (const name of ["a", "b"]) {
  const gate = gates.make({ principal: name, log: createLogger("bench", {}, () => {}) });
  gate.setPolicy([target, flooded]);
  await gate.listen(`${dir}/${name}`);
}
const report = (what: string, value: number, unit: string) =>
  console.log(`${what.padEnd(52)} ${value.toFixed(value < 10 ? 2 : 0)} ${unit}`);
report("resident memory that the thread added", rss() - before, "MB");

async function direct(): Promise<Deno.Conn> {
  return await Deno.connect({ hostname: "127.0.0.1", port });
}

async function through(name: string): Promise<Deno.Conn> {
  const connection = await Deno.connect({ transport: "unix", path: `${dir}/${name}` });
  await writeAll(connection, encoder.encode(`CONNECT ${target} HTTP/1.1\r\n\r\n`));
  await connection.read(new Uint8Array(256));
  return connection;
}

async function times(count: number, once: () => Promise<void>): Promise<number[]> {
  const taken: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await once();
    taken.push(performance.now() - began);
  }
  return taken.sort((x, y) => x - y);
}
const at = (sorted: number[], part: number) => sorted[Math.floor(sorted.length * part)]!;

async function take(open: () => Promise<Deno.Conn>, bytes: number): Promise<number> {
  using connection = await open();
  await writeAll(connection, encoder.encode(`G${bytes}`));
  const buffer = new Uint8Array(65536);
  const began = performance.now();
  for (let got = 0; got < bytes;) got += await connection.read(buffer) ?? Infinity;
  return bytes / 1e6 / ((performance.now() - began) / 1000);
}

const connecting = async (open: () => Promise<Deno.Conn>) =>
  await times(1000, async () => (await open()).close());
await connecting(() => through("b"));
const [plain, gated] = [await connecting(direct), await connecting(() => through("b"))];
report("connect, direct, p50", at(plain, 0.5) * 1000, "µs");
report("connect, through the gate, p50", at(gated, 0.5) * 1000, "µs");
const GIB = 2 ** 30;
const [fast, slow] = [await take(direct, GIB), await take(() => through("b"), GIB)];
report("1 GiB, direct", fast, "MB/s");
report("1 GiB, through the gate", slow, "MB/s");
report("ratio", slow / fast, "");

const echo = new Uint8Array(100);
async function small(open = () => through("b")): Promise<number[]> {
  using connection = await open();
  const buffer = new Uint8Array(1000);
  return await times(1000, async () => {
    await writeAll(connection, echo);
    for (let got = 0; got < 100;) got += await connection.read(buffer) ?? Infinity;
  });
}
const alone = await small();
const delays = async (busy: () => boolean) => {
  const late: number[] = [];
  while (busy()) {
    const began = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    late.push(performance.now() - began - 5);
  }
  return late.sort((x, y) => x - y);
};
// The reader of the flood is a process of its own too: it is the gate that is measured.
const flood = new Deno.Command(Deno.execPath(), {
  args: [
    "eval",
    "--quiet",
    `
    await Promise.all(Array.from({ length: 64 }, async () => {
      const c = await Deno.connect({ transport: "unix", path: "${dir}/a" });
      await c.write(new TextEncoder().encode("CONNECT ${flooded} HTTP/1.1\\r\\n\\r\\n"));
      const b = new Uint8Array(65536);
      await c.read(b);
      await c.write(new TextEncoder().encode("G100000000000"));
      while (await c.read(b) !== null);
    }));`,
  ],
}).spawn();
await new Promise((resolve) => setTimeout(resolve, 1500));
const beside = await small();
// What the machine itself takes while it is that busy.
const control = await small(direct);
let ends = false;
const lateness = delays(() => !ends);
await new Promise((resolve) => setTimeout(resolve, 2000));
ends = true;
report("small request alone, p50", at(alone, 0.5) * 1000, "µs");
report("small request alone, p99", at(alone, 0.99) * 1000, "µs");
report("small request beside 64 tunnels of another, p50", at(beside, 0.5) * 1000, "µs");
report("small request beside 64 tunnels of another, p99", at(beside, 0.99) * 1000, "µs");
report("the same without the gate, p50", at(control, 0.5) * 1000, "µs");
report("the same without the gate, p99", at(control, 0.99) * 1000, "µs");
report("lateness of the main thread's timers meanwhile, p99", at(await lateness, 0.99), "ms");
report("resident memory at the end", rss(), "MB");
processes.push(flood);
for (const child of processes) child.kill();
await Promise.all(processes.map((child) => child.status));
gates.close();
closeQuietly({ close: () => Deno.removeSync(dir, { recursive: true }) });
Deno.exit(0);
