// SPDX-License-Identifier: Apache-2.0

/** A stand-in for the daemon's egress gate: CONNECT on a Unix socket, one allow-list, plain copying. */

export interface TestGate {
  /** Every `host:port` that was asked for. */
  readonly asked: string[];
  stop(): Promise<void>;
}

export interface GateOptions {
  readonly path: string;
  /** `host:port` → the loopback port to connect to, or null to refuse. */
  readonly route: (target: string) => number | null;
}

export async function startGate({ path, route }: GateOptions): Promise<TestGate> {
  await Deno.remove(path).catch(() => {});
  const listener = Deno.listen({ transport: "unix", path });
  await Deno.chmod(path, 0o666);
  const asked: string[] = [];
  const open = new Set<Deno.Conn>();
  const serve = async (client: Deno.Conn) => {
    open.add(client);
    try {
      const head = await readHead(client);
      const target = /^CONNECT (\S+) HTTP\/1\.1$/.exec(head.split("\r\n")[0]!)?.[1] ?? "";
      asked.push(target);
      const port = route(target);
      if (port === null) return await refuse(client, target);
      let upstream: Deno.TcpConn;
      try {
        upstream = await Deno.connect({ hostname: "127.0.0.1", port });
      } catch {
        return await write(client, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
      }
      upstream.setNoDelay(true);
      open.add(upstream);
      await write(client, "HTTP/1.1 200 Connected\r\n\r\n");
      await Promise.all([copy(client, upstream), copy(upstream, client)]);
    } catch {
      // Either side may go at any time.
    } finally {
      close(client);
    }
  };
  const copy = async (from: Deno.Conn, to: Deno.Conn) => {
    const buffer = new Uint8Array(128 * 1024);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        let at = 0;
        while (at < count) at += await to.write(buffer.subarray(at, count));
      }
    } catch {
      // As above.
    } finally {
      close(to);
      close(from);
    }
  };
  const close = (connection: Deno.Conn) => {
    if (!open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // Closed by the other direction.
    }
  };
  const accepting = (async () => {
    for await (const client of listener) void serve(client);
  })().catch(() => {});
  let stopped = false;
  return {
    asked,
    async stop() {
      if (stopped) return;
      stopped = true;
      listener.close();
      for (const connection of open) close(connection);
      await accepting;
      await Deno.remove(path).catch(() => {});
    },
  };
}

async function refuse(client: Deno.Conn, target: string): Promise<void> {
  const body = JSON.stringify({
    error: {
      code: "egress-refused",
      message: `Cannot connect to "${target}": not in the allow-list`,
      hint: "add it to the template's egress policy",
    },
  });
  await write(
    client,
    `HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

async function readHead(connection: Deno.Conn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!text.includes("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("closed");
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  return text;
}

async function write(connection: Deno.Conn, text: string): Promise<void> {
  await connection.write(new TextEncoder().encode(text));
}
