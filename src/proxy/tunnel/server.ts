// SPDX-License-Identifier: Apache-2.0

/**
 * Serves `forward.sock`: what needs the connection itself and not one request on it. `CONNECT host:port`
 * and `http://host/…`, as programs ask of the proxy that `HTTPS_PROXY` and `HTTP_PROXY` name, and the
 * WebSocket handshake of a service. `Deno.serve` on `proxy.sock` can't hand a connection over.
 */
import { parseAuthority, type Target } from "../../lib/authority.ts";
import { openWire } from "../egress.ts";
import { badRequest, ProxyError, proxyStatus, shownError } from "../errors.ts";
import type { OpenWebSocket, ServiceForwarder } from "../forward.ts";
import { splitUrl } from "../path.ts";
import type { LoggedRequest } from "../log.ts";
import type { ProxyState } from "../state.ts";
import { latin1Bytes } from "../upstream.ts";
import { destinationOf } from "../swap/hosts.ts";
import { acceptTls } from "../tls_wire.ts";
import { PlainWire, type Wire } from "../wire.ts";
import { Ahead } from "./ahead.ts";
import { ACCESS_DENIED, readHello } from "./hello.ts";
import { Leaves } from "./leaves.ts";
import { isWebSocket } from "./request.ts";
import { readRequestHead, type RequestHead } from "./request_head.ts";
import { startFor } from "./log_start.ts";
import { BrokenOff, type Caller, RequestServer } from "./requests.ts";
import { splice } from "./splice.ts";

/** A head, and a ClientHello, must come within this. */
const HEAD_DEADLINE_MS = 30_000;

export interface ForwardServerOptions {
  readonly path: string;
  readonly egressSocket: string;
  readonly state: ProxyState;
  /** As it is now. */
  readonly service: (name: string) => ServiceForwarder | undefined;
  readonly now: () => number;
  /** Without a byte in either direction for so long, a tunnel is closed. */
  readonly idleTimeoutMs: number;
  /** Called with each connection: from then on `sweep` must be called now and then. */
  readonly onOpen: () => void;
}

/** How clients that take this socket for a proxy, or the bridge for a server, name it itself. */
const OURSELVES = /^http:\/\/(?:192\.0\.2\.1|127\.0\.0\.1:8642)(?=\/)/i;

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
  readonly #requests: RequestServer;
  readonly #leaves: Leaves | null;
  /** Tunnels that nobody reads. */
  readonly #blind = new Map<Activity, Target>();

  /** @throws when the socket cannot be made */
  constructor(options: ForwardServerOptions) {
    this.#options = options;
    this.#requests = new RequestServer(options);
    const { egress_authority: authority } = options.state.bootstrap;
    this.#leaves = authority === undefined ? null : new Leaves(authority, options.now);
    options.state.hosts.onChange = () => this.#cutPastRules();
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
      if (!(thrown instanceof BrokenOff)) {
        state.note(thrown);
        await this.#refuse(caller, thrown);
      }
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
      `Proxy-Status: ${proxyStatus(error)}\r\n` +
      (error instanceof ProxyError
        ? Object.entries(error.headers()).map(([name, value]) => `${name}: ${value}\r\n`).join("")
        : "") +
      `Content-Length: ${bytes.length}\r\nConnection: close\r\n\r\n`;
    await caller.write(latin1Bytes(head)).then(() => caller.write(bytes)).catch(() => {
      // It left before it heard why.
    });
  }

  async #dispatch(
    received: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
  ): Promise<void> {
    const head = { ...received, target: received.target.replace(OURSELVES, "") };
    const logged = this.#options.state.log.begin(startFor(head));
    try {
      await this.#pass(head, caller, activity, signal, logged);
    } catch (thrown) {
      logged.failed(thrown instanceof BrokenOff ? thrown.cause : thrown);
      throw thrown;
    } finally {
      logged.end();
    }
  }

  #pass(
    head: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
    logged: LoggedRequest,
  ): Promise<void> {
    if (head.method === "CONNECT") return this.#connect(head, caller, activity, signal, logged);
    if (/^http:\/\//i.test(head.target)) {
      return this.#requests.servePlain(this.#callerOf(caller, activity, signal), head, logged);
    }
    if (head.target.startsWith("/http/") && isWebSocket(head)) {
      return this.#upgrade(head, caller, activity, signal, logged);
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
    logged: LoggedRequest,
  ): Promise<void> {
    const target = parseAuthority(head.target);
    if (target === null) throw badRequest("the target of CONNECT is not host:port");
    const { state } = this.#options;
    if (state.hosts.isRead(target)) {
      return await this.#terminate(target, caller, activity, signal, logged);
    }
    const anyBytes = state.allows(`tunnel/${target.host}/${target.port}`);
    if (!anyBytes) this.#require("forward", target);
    // The gate has limits of its own, and may ask a person.
    this.#touch(activity, this.#options.idleTimeoutMs);
    const upstream = await openWire(
      this.#options.egressSocket,
      { ...destinationOf(target, false, undefined), speaksFirst: anyBytes },
      signal,
    );
    this.#touch(activity, HEAD_DEADLINE_MS);
    logged.answered(200);
    try {
      await caller.write(latin1Bytes("HTTP/1.1 200 Connection established\r\n\r\n"));
      if (!anyBytes) {
        const hello = await readHello(caller, target);
        if (hello instanceof ProxyError) {
          state.note(hello);
          logged.failed(hello);
          return await caller.write(ACCESS_DENIED).catch(() => {});
        }
        await upstream.write(hello);
      }
      this.#blind.set(activity, target);
      // A rule may have come while the gate was asked.
      if (state.hosts.isRead(target)) return;
      await this.#splice(caller, upstream, activity, logged);
    } finally {
      this.#blind.delete(activity);
      upstream.close();
    }
  }

  /** From now on `limit` ms of silence end the connection. */
  #touch(activity: Activity, limit: number): void {
    activity.last = this.#options.now();
    activity.limit = limit;
  }

  /** TLS with a host whose requests are read ends here; another connection leads on. */
  async #terminate(
    target: Target,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
    logged: LoggedRequest,
  ): Promise<void> {
    const { state } = this.#options;
    this.#require("forward", target);
    if (this.#leaves === null) {
      throw new ProxyError(
        "no-authority",
        `Cannot read requests to "${target.host}": the principal has no certificate authority`,
        { status: 503, hint: "its launcher is older than its proxy; start the agent anew" },
      );
    }
    await caller.write(latin1Bytes("HTTP/1.1 200 Connection established\r\n\r\n"));
    logged.answered(200);
    const hello = await readHello(caller, target);
    if (hello instanceof ProxyError) {
      state.note(hello);
      logged.failed(hello);
      return await caller.write(ACCESS_DENIED).catch(() => {});
    }
    const leaf = await this.#leaves.for(target.host);
    let inside: Wire;
    try {
      inside = await acceptTls(new Ahead(hello, caller), leaf, signal);
    } catch (thrown) {
      state.note(thrown);
      logged.failed(thrown);
      return;
    }
    try {
      await this.#requests.serveTls(this.#callerOf(inside, activity, signal), target);
    } catch (thrown) {
      if (thrown instanceof BrokenOff) return;
      state.note(thrown);
      await this.#refuse(inside, thrown);
    } finally {
      await inside.closeWrite();
      inside.close();
    }
  }

  #callerOf(wire: Wire, activity: Activity, signal: AbortSignal): Caller {
    return {
      wire,
      signal,
      touch: (limit) => {
        activity.last = this.#options.now();
        activity.limit = limit;
      },
    };
  }

  /** New rules hold for old tunnels too. */
  #cutPastRules(): void {
    for (const [activity, target] of this.#blind) {
      if (this.#options.state.hosts.isRead(target)) activity.close();
    }
  }

  async #upgrade(
    head: RequestHead,
    caller: Wire,
    activity: Activity,
    signal: AbortSignal,
    logged: LoggedRequest,
  ): Promise<void> {
    const { path, query } = splitUrl(`http://proxy${head.target}`);
    const end = path.indexOf("/", "/http/".length);
    const name = path.slice("/http/".length, end === -1 ? undefined : end);
    const service = this.#options.service(name);
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
    this.#touch(activity, this.#options.idleTimeoutMs);
    const opened = await service.openWebSocket(
      headers,
      end === -1 ? "" : path.slice(end),
      query,
      signal,
    );
    try {
      logged.answered(101);
      await caller.write(opened.head);
      await this.#splice(caller, opened.wire, activity, logged, opened.scrubber);
    } finally {
      opened.wire.close();
    }
  }

  async #splice(
    caller: Wire,
    upstream: Wire,
    activity: Activity,
    logged: LoggedRequest,
    scrubber?: OpenWebSocket["scrubber"],
  ): Promise<void> {
    const { state, now, idleTimeoutMs } = this.#options;
    activity.limit = idleTimeoutMs;
    activity.last = now();
    await splice(caller, upstream, {
      ...(scrubber === undefined ? {} : { scrubber }),
      onFault: (thrown) => state.note(thrown),
      onBytes: (direction, count) => {
        activity.last = now();
        logged.bytes[direction] += count;
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
    this.#requests.sweep();
  }

  /** Resolves when no more is accepted; open tunnels are cut. */
  async close(): Promise<void> {
    this.#listener.close();
    for (const activity of this.#active) activity.close();
    this.#requests.close();
    await this.#accepting;
  }
}
