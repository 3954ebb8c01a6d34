// SPDX-License-Identifier: Apache-2.0

/**
 * Lets programs that only speak TCP use a principal's proxy: `http://127.0.0.1:8642` inside the sandbox
 * is `proxy.sock` to whoever names it as a server, and `forward.sock` to whoever names it as a proxy.
 * Bytes pass unread; every decision is the proxy's.
 */
import { concatBytes } from "../lib/bytes.ts";
import { closeQuietly, copyBoth, writeAll } from "../lib/duplex.ts";
import { routeOf } from "./head.ts";

/** Connections at once; a sandbox's own loopback is not worth more. */
const MAX_CONNECTIONS = 512;
/** A head must be here within this, from the connection on: the proxy gives it no longer either. */
const HEAD_DEADLINE_MS = 30_000;
/** While the proxy is replaced its socket is gone: tried again for 5 s. */
const CONNECT_TRIES = 50;
const CONNECT_PAUSE_MS = 100;

export interface BridgeOptions {
  readonly port: number;
  readonly proxySocket: string;
  readonly forwardSocket: string;
  readonly connectTries?: number;
  readonly headDeadlineMs?: number;
}

export class Bridge {
  readonly #options: BridgeOptions;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  /** @throws when the port is taken */
  constructor(options: BridgeOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: options.port });
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        if (this.#open.size >= MAX_CONNECTIONS) closeQuietly(connection);
        else void this.#serve(connection);
      }
    } catch {
      // Closed by `close()`.
    }
  }

  async #serve(caller: Deno.TcpConn): Promise<void> {
    this.#open.add(caller);
    try {
      caller.setNoDelay();
      const head = await this.#readHead(caller);
      if (head === null) return;
      const path = routeOf(head) === "forward"
        ? this.#options.forwardSocket
        : this.#options.proxySocket;
      const proxy = await this.#connect(path);
      if (proxy === null) return await writeAll(caller, AWAY);
      this.#open.add(proxy);
      try {
        await writeAll(proxy, head);
        await copyBoth(caller, proxy, { up: 0, down: 0 });
      } finally {
        this.#open.delete(proxy);
        closeQuietly(proxy);
      }
    } catch {
      // Either side may go at any time.
    } finally {
      this.#open.delete(caller);
      closeQuietly(caller);
    }
  }

  /** Closes a connection that says too little for too long. */
  async #readHead(caller: Deno.Conn): Promise<Uint8Array | null> {
    const limit = this.#options.headDeadlineMs ?? HEAD_DEADLINE_MS;
    const timer = setTimeout(() => closeQuietly(caller), limit);
    try {
      return await readHead(caller);
    } finally {
      clearTimeout(timer);
    }
  }

  async #connect(path: string): Promise<Deno.Conn | null> {
    for (let tries = this.#options.connectTries ?? CONNECT_TRIES; tries > 0; tries--) {
      try {
        return await Deno.connect({ transport: "unix", path });
      } catch {
        await new Promise((resolve) => setTimeout(resolve, CONNECT_PAUSE_MS));
      }
    }
    return null;
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) closeQuietly(connection);
    await this.#accepting;
  }
}

const AWAY = (() => {
  const body = JSON.stringify({
    error: {
      code: "proxy-away",
      message: "Cannot reach the proxy: it does not answer",
      hint: "it is being replaced; repeat the request",
    },
  });
  return new TextEncoder().encode(
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n" +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
})();

/**
 * Reads until it is known where the connection goes: at most `MAX_HEAD_BYTES`, and what came with them. Null
 * when the caller closed without a word.
 */
async function readHead(caller: Deno.Conn): Promise<Uint8Array | null> {
  let head: Uint8Array = new Uint8Array();
  const buffer = new Uint8Array(16 * 1024);
  while (true) {
    const count = await caller.read(buffer);
    if (count === null) return head.length === 0 ? null : head;
    head = concatBytes([head, buffer.subarray(0, count)]);
    if (routeOf(head) !== "more") return head;
  }
}
