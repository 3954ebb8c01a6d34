// SPDX-License-Identifier: Apache-2.0

/**
 * Serves `forward.sock`: what needs the connection itself and not one request on it. `CONNECT host:port`
 * and `http://host/…`, as programs ask of the proxy that `HTTPS_PROXY` and `HTTP_PROXY` name, and the
 * WebSocket handshake of a service. `Deno.serve` on `proxy.sock` can't hand a connection over.
 */
import { parseAuthority, type Target } from "../../lib/authority.ts";
import { concatBytes } from "../../lib/bytes.ts";
import { authority, type Destination, openWire } from "../egress.ts";
import { badRequest, ProxyError, shownError } from "../errors.ts";
import type { ServiceForwarder } from "../forward.ts";
import { splitUrl } from "../path.ts";
import type { ProxyState } from "../state.ts";
import { latin1Bytes } from "../upstream.ts";
import { PlainWire, type Wire } from "../wire.ts";
import { parseClientHello } from "./client_hello.ts";
import { readRequestHead, type RequestHead } from "./request_head.ts";
import { splice } from "./splice.ts";

/** A head, and a ClientHello, must come within this. */
const HEAD_DEADLINE_MS = 30_000;

export interface ForwardServerOptions {
  readonly path: string;
  readonly egressSocket: string;
  readonly state: ProxyState;
  readonly services: ReadonlyMap<string, ServiceForwarder>;
  readonly now: () => number;
  /** Without a byte in either direction for so long, a tunnel is closed. */
  readonly idleTimeoutMs: number;
  /** Called with each connection: from then on `sweep` must be called now and then. */
  readonly onOpen: () => void;
}

/** How clients that take this socket for a proxy, or the bridge for a server, name it itself. */
const OURSELVES = /^http:\/\/(?:bureau\.invalid|127\.0\.0\.1:8642)(?=\/)/i;

/** One connection, as the idle sweep sees it. */
interface Activity {
  /** Closed when no byte came for `limit` ms. */
  last: number;
  limit: number;
  readonly close: () => void;
}

export class ForwardServer {
  readonly #options: ForwardServerOptions;
  readonly #listener: Deno.UnixListener;
  readonly #active = new Set<Activity>();
  readonly #accepting: Promise<void>;

  /** @throws when the socket cannot be made */
  constructor(options: ForwardServerOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ transport: "unix", path: options.path });
    this.#accepting = this.#accept();
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) void this.#serve(new PlainWire(connection));
    } catch {
      // Closed by `close()`.
    }
  }

  async #serve(caller: Wire): Promise<void> {
    const { state, now, onOpen } = this.#options;
    onOpen();
    const closing = new AbortController();
    const activity: Activity = {
      last: now(),
      limit: HEAD_DEADLINE_MS,
      close: () => {
        closing.abort();
        caller.close();
      },
    };
    this.#active.add(activity);
    const done = Promise.withResolvers<void>();
    try {
      state.admit(done.promise);
      const request = await readRequestHead(caller);
      if (request !== null) {
        const wire = request.rest.length === 0 ? caller : new Ahead(request.rest, caller);
        await this.#dispatch(request.head, wire, activity, closing.signal);
      }
    } catch (thrown) {
      state.note(thrown);
      await this.#refuse(caller, thrown);
    } finally {
      this.#active.delete(activity);
      caller.close();
      done.resolve();
    }
  }

  async #refuse(caller: Wire, thrown: unknown): Promise<void> {
    const error = shownError(thrown);
    const bytes = new TextEncoder().encode(JSON.stringify(error.toBody()));
    const head = `HTTP/1.1 ${error.status} Refused\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
    await caller.write(latin1Bytes(head)).then(() => caller.write(bytes)).catch(() => {
      // It left before it heard why.
    });
  }

  #dispatch(
    received: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
  ): Promise<void> {
    const head = { ...received, target: received.target.replace(OURSELVES, "") };
    if (head.method === "CONNECT") return this.#connect(head, caller, activity, signal);
    if (/^http:\/\//i.test(head.target)) return this.#plain(head, caller, activity, signal);
    if (head.target.startsWith("/http/") && isWebSocket(head)) {
      return this.#upgrade(head, caller, activity, signal);
    }
    throw badRequest(
      "this socket takes CONNECT, http://… and the WebSocket handshake of a service",
      "everything else goes to proxy.sock",
    );
  }

  /** Grants name what a tunnel may be opened to: `forward/<host>/<port>`. */
  #require(kind: "forward" | "tunnel", { host, port }: Target): void {
    this.#options.state.require(`${kind}/${host}/${port}`);
  }

  /**
   * A blind tunnel, for TLS with the server name that was asked for; for anything else only where
   * `tunnel/<host>/<port>` is granted.
   */
  async #connect(
    head: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
  ): Promise<void> {
    const target = parseAuthority(head.target);
    if (target === null) throw badRequest("the target of CONNECT is not host:port");
    const { state } = this.#options;
    const anyBytes = state.allows(`tunnel/${target.host}/${target.port}`);
    if (!anyBytes) this.#require("forward", target);
    const upstream = await openWire(this.#options.egressSocket, plainTo(target), signal);
    try {
      await caller.write(latin1Bytes("HTTP/1.1 200 Connection established\r\n\r\n"));
      if (!anyBytes) {
        const hello = await readHello(caller, target);
        if (hello instanceof ProxyError) {
          state.note(hello);
          return await caller.write(ACCESS_DENIED).catch(() => {});
        }
        await upstream.write(hello);
      }
      await this.#splice(caller, upstream, activity);
    } finally {
      upstream.close();
    }
  }

  /** `GET http://host/path`: one exchange a connection, in the clear, as the caller framed it. */
  async #plain(
    head: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
  ): Promise<void> {
    const url = /^http:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(head.target);
    const target = url === null ? null : parseAuthority(withPort(url[1]!, 80));
    if (target === null) throw badRequest("the target is no http:// address");
    this.#require("forward", target);
    const upstream = await openWire(this.#options.egressSocket, plainTo(target), signal);
    try {
      const path = url![2] ?? "/";
      const named = namedByConnection(head);
      const lines = head.headers.filter(([name]) =>
        name !== "host" && name !== "connection" && name !== "keep-alive" && name !== "upgrade" &&
        !name.startsWith("proxy-") && !named.has(name)
      ).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const shown = target.port === 80 ? authority(target).replace(/:80$/, "") : authority(target);
      await upstream.write(latin1Bytes(
        `${head.method} ${
          path.startsWith("/") ? path : `/${path}`
        } HTTP/1.1\r\nHost: ${shown}\r\n` +
          `${lines}Connection: close\r\n\r\n`,
      ));
      await this.#splice(caller, upstream, activity);
    } finally {
      upstream.close();
    }
  }

  async #upgrade(
    head: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
  ): Promise<void> {
    const { path, query } = splitUrl(`http://proxy${head.target}`);
    const end = path.indexOf("/", "/http/".length);
    const name = path.slice("/http/".length, end === -1 ? undefined : end);
    const service = this.#options.services.get(name);
    if (service === undefined) {
      throw new ProxyError("no-such-service", "Cannot open a WebSocket: no such service", {
        status: 404,
        hint: "GET /v1/identity lists the services of this principal",
      });
    }
    this.#options.state.require(`http/${name}`);
    const headers = new Headers(
      head.headers.map(([name, value]): [string, string] => [name, value]),
    );
    const opened = await service.openWebSocket(
      headers,
      end === -1 ? "" : path.slice(end),
      query,
      signal,
    );
    try {
      await caller.write(opened.head);
      await this.#splice(caller, opened.wire, activity, opened.scrubber);
    } finally {
      opened.wire.close();
    }
  }

  async #splice(
    caller: Wire,
    upstream: Wire,
    activity: Activity,
    scrubber?: { push(chunk: Uint8Array): Uint8Array; end(): Uint8Array },
  ): Promise<void> {
    const { state, now, idleTimeoutMs } = this.#options;
    activity.limit = idleTimeoutMs;
    activity.last = now();
    await splice(caller, upstream, {
      ...(scrubber === undefined ? {} : { scrubber }),
      onBytes: (direction, count) => {
        activity.last = now();
        if (direction === "up") state.counters.bytesIn += count;
        else state.counters.bytesOut += count;
      },
    });
  }

  /** Called now and then: ends what has been silent for too long. */
  sweep(): void {
    const now = this.#options.now();
    for (const activity of this.#active) {
      if (now - activity.last > activity.limit) activity.close();
    }
  }

  /** Resolves when no more is accepted; open tunnels are cut. */
  async close(): Promise<void> {
    this.#listener.close();
    for (const activity of this.#active) activity.close();
    await this.#accepting;
  }
}

/** A fatal TLS alert (RFC 8446 §6): the tunnel stands already, so this is how a refusal is told. */
const ACCESS_DENIED = Uint8Array.of(21, 3, 3, 0, 2, 2, 49);

/** What the caller begins with, or why it is not TLS with this host. */
async function readHello(caller: Wire, { host, port }: Target): Promise<Uint8Array | ProxyError> {
  const refused = (code: string, why: string) =>
    new ProxyError(code, `Cannot tunnel to "${host}": ${why}`, {
      status: 403,
      hint: `an operator can grant "tunnel/${host}/${port}" for other protocols`,
    });
  let bytes: Uint8Array = new Uint8Array();
  while (true) {
    const more = await caller.read();
    if (more === null) return refused("not-tls", "the caller closed before TLS began");
    bytes = concatBytes([bytes, more]);
    const hello = parseClientHello(bytes);
    if (hello.state === "bad") return refused("not-tls", hello.why);
    if (hello.state === "more") continue;
    // An address is no server name (RFC 6066 §3): only a hello without one fits it.
    if (hello.serverName === (isAddress(host) ? null : host)) return bytes;
    const asked = hello.serverName === null ? "no name" : `"${hello.serverName}"`;
    return refused("wrong-server-name", `TLS asks for ${asked}`);
  }
}

/** Gives first what was read with the head. */
class Ahead implements Wire {
  #first: Uint8Array | null;
  readonly #wire: Wire;
  constructor(first: Uint8Array, wire: Wire) {
    this.#first = first;
    this.#wire = wire;
  }
  read(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = null;
    return first === null ? this.#wire.read() : Promise.resolve(first);
  }
  write(bytes: Uint8Array): Promise<void> {
    return this.#wire.write(bytes);
  }
  watch(onDead: () => void): () => void {
    return this.#wire.watch(onDead);
  }
  closeWrite(): Promise<void> {
    return this.#wire.closeWrite();
  }
  close(): void {
    this.#wire.close();
  }
}

function isWebSocket({ method, headers }: RequestHead): boolean {
  return method === "GET" &&
    headers.some(([name, value]) => name === "upgrade" && value.toLowerCase() === "websocket");
}

function namedByConnection({ headers }: RequestHead): Set<string> {
  return new Set(
    headers.filter(([name]) => name === "connection").flatMap(([, value]) =>
      value.toLowerCase().split(",").map((option) => option.trim())
    ),
  );
}

function plainTo({ host, port }: Target): Destination {
  return { host, port, tls: false, isAddress: isAddress(host), ca: undefined };
}

function isAddress(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}

function withPort(host: string, port: number): string {
  return /:\d+$/.test(host.replace(/\[.*\]/, "")) ? host : `${host}:${port}`;
}
