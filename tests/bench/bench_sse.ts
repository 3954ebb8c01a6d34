// SPDX-License-Identifier: Apache-2.0

/**
 * How long after it was written an event of a stream arrives, through the proxy in its cell and directly: ten
 * streams at once, an event of each every 10 ms, with a credential to be looked for in every one.
 */
import { buildRuntime, startCell } from "../../src/proxy/testing/cell.ts";
import { bootstrapWith } from "../../src/proxy/testing/harness.ts";
import { startGate } from "../../src/proxy/testing/gate.ts";
import { percentile, report } from "./report.ts";

const STREAMS = 10;
const EVENTS = 500;
const EVERY_MS = 10;

const encode = (text: string) => new TextEncoder().encode(text);

/** Writes `data: <when>` in chunks of their own, to whoever asks. */
function serve(): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  (async () => {
    for await (const connection of listener) stream(connection).catch(() => {});
  })().catch(() => {});
  return listener;
}

async function stream(connection: Deno.TcpConn): Promise<void> {
  using held = connection;
  held.setNoDelay(true);
  await held.read(new Uint8Array(4096));
  await held.write(
    encode(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
  );
  for (let count = 0; count < EVENTS; count++) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    const event = `data: ${performance.now()}\n\n`;
    await held.write(encode(`${event.length.toString(16)}\r\n${event}\r\n`));
  }
  await held.write(encode("0\r\n\r\n"));
}

/** @returns the delay of each event in ms */
async function listen(connect: () => Promise<Deno.Conn>, path: string): Promise<number[]> {
  using connection = await connect();
  await connection.write(encode(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`));
  const delays: number[] = [];
  const buffer = new Uint8Array(65_536);
  let text = "";
  while (delays.length < EVENTS) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("a stream ended early");
    const now = performance.now();
    text += new TextDecoder().decode(buffer.subarray(0, count));
    for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
      delays.push(now - Number(/data: ([\d.]+)$/.exec(text.slice(0, end))![1]));
      text = text.slice(end + 2);
    }
  }
  return delays;
}

const all = async (connect: () => Promise<Deno.Conn>, path: string) =>
  (await Promise.all(Array.from({ length: STREAMS }, () => listen(connect, path)))).flat();

const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
const upstream = serve();
const { port } = upstream.addr;
await Deno.mkdir(`${dir}/cell/egress`, { recursive: true });
const gate = await startGate({ path: `${dir}/cell/egress/egress.sock`, route: () => port });
const cell = await startCell(
  `${dir}/cell`,
  await buildRuntime(dir),
  bootstrapWith({
    services: {
      up: {
        upstream: `http://127.0.0.1:${port}`,
        inject_headers: { "x-api-key": "bench-s3cret-key" },
        strip_headers: [],
      },
    },
  }),
);
try {
  const direct = await all(() => Deno.connect({ hostname: "127.0.0.1", port }), "/");
  const proxied = await all(
    () => Deno.connect({ transport: "unix", path: cell.sockets.agent }),
    "/http/up/",
  );
  report({
    id: "proxy.sse.p99",
    value: percentile(proxied, 0.99),
    unit: "ms",
    alternative: { name: "direct", value: percentile(direct, 0.99) },
    note: `p50 ${percentile(proxied, 0.5).toFixed(2)} ms, direct ${
      percentile(direct, 0.5).toFixed(2)
    } ms; gate and upstream in the measuring process`,
  });
} finally {
  cell.kill("SIGKILL");
  await cell.status;
  upstream.close();
  await gate.stop();
  await Deno.remove(dir, { recursive: true });
}
