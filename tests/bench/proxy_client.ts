// SPDX-License-Identifier: Apache-2.0

/** The smallest HTTP client that can load a proxy: raw keep-alive connections, one request at a time each. */

export type Connect = () => Promise<Deno.Conn>;

export const connectUnix = (path: string): Promise<Deno.Conn> =>
  Deno.connect({ transport: "unix", path });

export const connectTls = async (port: number, ca: string): Promise<Deno.Conn> => {
  const connection = await Deno.connectTls({ hostname: "localhost", port, caCerts: [ca] });
  return connection;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

function requestFor(path: string, host = "localhost"): Uint8Array {
  return encoder.encode(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
}

/** Reads one response with a Content-Length; returns its body's size. */
async function readResponse(connection: Deno.Conn, buffer: Uint8Array): Promise<number> {
  let held = 0;
  let end = -1;
  while (end === -1) {
    const count = await connection.read(buffer.subarray(held));
    if (count === null) throw new Error("the connection ended");
    held += count;
    end = decoder.decode(buffer.subarray(0, held)).indexOf("\r\n\r\n");
  }
  const head = decoder.decode(buffer.subarray(0, end));
  if (!head.startsWith("HTTP/1.1 200")) throw new Error(head.split("\r\n")[0]);
  const length = Number(/content-length: (\d+)/i.exec(head)![1]);
  let left = length - (held - end - 4);
  while (left > 0) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("the connection ended");
    left -= count;
  }
  return length;
}

/** `count` round trips over one connection after some to warm up, in µs. */
export async function measureLatency(
  connect: Connect,
  path: string,
  count: number,
  host?: string,
): Promise<number[]> {
  using connection = await connect();
  const request = requestFor(path, host);
  const buffer = new Uint8Array(65536);
  const sample: number[] = [];
  for (let turn = -Math.min(300, count - 1); turn < count; turn++) {
    const start = performance.now();
    await connection.write(request);
    await readResponse(connection, buffer);
    if (turn >= 0) sample.push((performance.now() - start) * 1000);
  }
  return sample;
}

/** One round trip on a connection that stands. */
export async function ask(connection: Deno.Conn, path: string, host: string): Promise<void> {
  await connection.write(requestFor(path, host));
  await readResponse(connection, new Uint8Array(4096));
}

/** Requests per second over `connections` connections for `ms`. */
export async function measureRate(
  connect: Connect,
  path: string,
  connections: number,
  ms: number,
): Promise<number> {
  const request = requestFor(path);
  let done = 0;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      using connection = await connect();
      const buffer = new Uint8Array(65536);
      while (performance.now() - start < ms) {
        await connection.write(request);
        await readResponse(connection, buffer);
        done++;
      }
    }),
  );
  return done / ((performance.now() - start) / 1000);
}

/** MB/s of one large body. */
export async function fetchBody(connect: Connect, path: string, bytes: number): Promise<number> {
  using connection = await connect();
  const buffer = new Uint8Array(1024 * 1024);
  const start = performance.now();
  await connection.write(requestFor(path));
  const length = await readResponse(connection, buffer);
  if (length !== bytes) throw new Error(`the body had ${length} bytes instead of ${bytes}`);
  return bytes / 1024 / 1024 / ((performance.now() - start) / 1000);
}
