// SPDX-License-Identifier: Apache-2.0

/** Byte-exact HTTP for tests: clients and servers that say precisely what a test wants said. */

const encoder = new TextEncoder();

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}

export interface RawResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** One request over its own connection to a Unix socket; reads until the other side closes. */
export async function rawRequest(
  socket: string,
  head: string,
  body: string | Uint8Array = "",
): Promise<RawResponse> {
  using connection = await Deno.connect({ transport: "unix", path: socket });
  const lines = head.trim().split("\n").map((line) => line.trim());
  await connection.write(
    bytesOf(
      [...lines, ...(head.includes("Host:") ? [] : ["Host: proxy"]), "Connection: close"].join(
        "\r\n",
      ) + "\r\n\r\n",
    ),
  );
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  if (bytes.length > 0) await connection.write(bytes);
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  while (true) {
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) break;
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return parseRaw(text);
}

function parseRaw(text: string): RawResponse {
  const end = text.indexOf("\r\n\r\n");
  const [first, ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Headers(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1).trim()] as [string, string];
    }),
  );
  let body = text.slice(end + 4);
  if (headers.get("transfer-encoding") === "chunked") {
    let joined = "";
    while (true) {
      const line = body.indexOf("\r\n");
      const size = parseInt(body.slice(0, line), 16);
      if (!(size > 0)) break;
      joined += body.slice(line + 2, line + 2 + size);
      body = body.slice(line + 2 + size + 2);
    }
    body = joined;
  }
  return { status: Number(first!.split(" ")[1]), headers, text: body };
}

export interface RawConnection {
  /** Everything received so far, one character a byte. */
  readonly received: string;
  /** Resolves once `received` matches. */
  until(pattern: RegExp): Promise<string>;
  send(text: string | Uint8Array): Promise<void>;
  close(): void;
  /** Resolves when the other side closed. */
  readonly closed: Promise<void>;
}

export interface RawServer {
  readonly port: number;
  /** The next connection that comes in. */
  accept(): Promise<RawConnection>;
  stop(): void;
}

/** A TCP server on loopback whose every byte a test writes itself. */
export function rawServer(tls?: { cert: string; key: string }): RawServer {
  const listener = tls === undefined
    ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
    : Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...tls });
  const open = new Set<RawConnection>();
  return {
    port: listener.addr.port,
    async accept() {
      const connection = rawConnection(await listener.accept());
      open.add(connection);
      return connection;
    },
    stop() {
      listener.close();
      for (const connection of open) connection.close();
    },
  };
}

function rawConnection(connection: Deno.Conn): RawConnection {
  let received = "";
  let wake = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let ended = false;
  (async () => {
    const buffer = new Uint8Array(65536);
    while (true) {
      const count = await connection.read(buffer).catch(() => null);
      if (count === null) break;
      for (let at = 0; at < count; at += 4096) {
        received += String.fromCharCode(...buffer.subarray(at, Math.min(count, at + 4096)));
      }
      wake.resolve();
      wake = Promise.withResolvers();
    }
    ended = true;
    wake.resolve();
    closed.resolve();
  })();
  return {
    get received() {
      return received;
    },
    async until(pattern) {
      while (!pattern.test(received)) {
        if (ended) throw new Error(`the connection ended before ${pattern}`);
        await wake.promise;
      }
      return received;
    },
    async send(text) {
      let bytes = typeof text === "string" ? bytesOf(text) : text;
      while (bytes.length > 0) bytes = bytes.subarray(await connection.write(bytes));
    },
    close() {
      try {
        connection.close();
      } catch {
        // Closed already.
      }
    },
    closed: closed.promise,
  };
}
