// SPDX-License-Identifier: Apache-2.0

/**
 * Answers requests that programs send to hosts through this proxy: in the clear, and inside TLS that ends here.
 * Each is checked against the host's rules, gets secrets in the place of placeholders, and goes on over a
 * connection of the proxy's own, which verifies the host.
 */
import { authorityOf, parseAuthority, type Target } from "../../lib/authority.ts";
import { meteredExchange } from "../budget/exchange.ts";
import { openWire } from "../egress.ts";
import { badRequest, ProxyError } from "../errors.ts";
import { ResponseReader } from "../http1/reader.ts";
import { splitUrl } from "../path.ts";
import type { LoggedRequest } from "../log.ts";
import type { ProxyState } from "../state.ts";
import { destinationOf, type HostPolicy } from "../swap/hosts.ts";
import { WebSocketSwapper } from "../swap/websocket.ts";
import { WebSocketScrubber } from "../swap/websocket_scrub.ts";
import { withSpan } from "../trace.ts";
import { latin1Bytes, Upstream } from "../upstream.ts";
import type { Wire } from "../wire.ts";
import { Ahead } from "./ahead.ts";
import { passedHeaders, writeAnswer } from "./answer.ts";
import { startOf, withPort } from "./log_start.ts";
import {
  isWebSocket,
  missingHost,
  outgoingBody,
  outgoingHead,
  requireHost,
  wantsMore,
} from "./request.ts";
import type { RequestHead } from "./request_head.ts";
import { RequestReader } from "./request_reader.ts";
import { splice } from "./splice.ts";

/** An idle connection waits so long for its next request. */
const KEEP_ALIVE_MS = 60_000;
/** Above this, hosts that nobody is connected to are forgotten. */
const MAX_UPSTREAMS = 64;

/** One client's connection, as its owner watches it. */
export interface Caller {
  readonly wire: Wire;
  /** Aborts when the connection is given up. */
  readonly signal: AbortSignal;
  /** Something happened; from now on `limit` ms of silence end the connection. */
  readonly touch: (limit: number) => void;
}

export interface RequestServerOptions {
  readonly egressSocket: string;
  readonly state: ProxyState;
  readonly now: () => number;
  readonly idleTimeoutMs: number;
  readonly onOpen: () => void;
}

/** Where one request goes. */
interface Route {
  readonly target: Target;
  readonly tls: boolean;
  readonly path: string;
  readonly query: string;
}

/** Thrown for what went wrong when the answer had begun: nothing more can be said to the client. */
export class BrokenOff extends Error {}

export class RequestServer {
  readonly #options: RequestServerOptions;
  readonly #upstreams = new Map<string, Upstream>();

  constructor(options: RequestServerOptions) {
    this.#options = options;
  }

  /**
   * One request in the clear. Another host may be meant by the next, so it gets a connection of its own.
   *
   * @throws {ProxyError} that the client is to be told
   */
  async servePlain(caller: Caller, head: RequestHead, logged: LoggedRequest): Promise<void> {
    const route = plainRoute(head);
    const { host, port } = route.target;
    this.#options.state.require(`forward/${host}/${port}`);
    const reader = new RequestReader(caller.wire);
    reader.take(head);
    await this.#serveOne(caller, reader, head, route, false, logged);
  }

  /**
   * Every request inside TLS that was opened to `target`.
   *
   * @throws {ProxyError} as above
   */
  async serveTls(caller: Caller, target: Target): Promise<void> {
    const { state } = this.#options;
    const reader = new RequestReader(caller.wire);
    for (let count = 0;; count++) {
      caller.touch(KEEP_ALIVE_MS);
      const head = await reader.next();
      if (head === null) return;
      if (count > 0) state.countRequest();
      const action = `forward/${target.host}/${target.port}`;
      const logged = state.log.begin({ ...startOf("forward", head, target), action });
      try {
        // Grants run out while a connection lives.
        state.require(action);
        const route = tlsRoute(head, target);
        if (!await this.#serveOne(caller, reader, head, route, wantsMore(head), logged)) return;
      } catch (thrown) {
        logged.failed(thrown instanceof BrokenOff ? thrown.cause : thrown);
        throw thrown;
      } finally {
        logged.end();
      }
    }
  }

  /** @returns whether the connection can be used again */
  async #serveOne(
    caller: Caller,
    reader: RequestReader,
    head: RequestHead,
    route: Route,
    keep: boolean,
    logged: LoggedRequest,
  ): Promise<boolean> {
    const { state, idleTimeoutMs } = this.#options;
    const live = state.hosts.liveOf(route.target);
    if (!live.isFresh) await live.refresh();
    const { generation } = live;
    const policy = state.hosts.policyFor(route.target, route.tls);
    const touch = () => caller.touch(idleTimeoutMs);
    touch();
    const plain = outgoingHead(head, route.path, route.query, policy);
    const outgoing = { ...plain, headers: withSpan(plain.headers, logged.span) };
    if (isWebSocket(head)) {
      logged.answered(101);
      await this.#upgrade(caller, reader, route, outgoing, policy);
      return false;
    }
    if (expectsContinue(head)) {
      await caller.wire.write(latin1Bytes("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    const left = new AbortController();
    const leave = () => left.abort();
    caller.signal.addEventListener("abort", leave, { once: true });
    let broken: unknown = null;
    let begun = false;
    try {
      const watch = () => reader.watchEnd(leave);
      const body = await outgoingBody(head, reader, policy, touch, watch, (thrown) => {
        broken = thrown;
      });
      if (body.body === null) watch();
      const response = await meteredExchange(
        state.budget,
        this.#upstream(route, policy),
        { method: head.method, ...outgoing, ...body, bytes: logged.bytes },
        left.signal,
      );
      logged.answered(response.head.status);
      // The program's next request gets another; this one's body is gone.
      if (response.head.status === 401) live.rejected(generation);
      await writeAnswer(caller.wire, head, response, policy.secrets, keep, () => {
        begun = true;
        touch();
      });
      return keep && reader.isComplete;
    } catch (thrown) {
      // What is wrong with the request's body says more than that its sending ended.
      const why = broken ?? thrown;
      if (!begun) throw why;
      state.note(why);
      throw new BrokenOff("the answer had begun", { cause: why });
    } finally {
      caller.signal.removeEventListener("abort", leave);
    }
  }

  #upstream({ target, tls }: Route, { ca }: HostPolicy): Upstream {
    const key = `${tls ? "https" : "http"}://${authorityOf(target)} ${ca ?? ""}`;
    const kept = this.#upstreams.get(key);
    if (kept !== undefined) return kept;
    if (this.#upstreams.size >= MAX_UPSTREAMS) this.#forgetUnused();
    const { egressSocket, now, idleTimeoutMs, onOpen, state } = this.#options;
    const upstream = new Upstream({
      egressSocket,
      destination: destinationOf(target, tls, ca),
      now,
      counters: state.counters,
      idleTimeoutMs,
      onOpen,
    });
    this.#upstreams.set(key, upstream);
    return upstream;
  }

  /** The WebSocket handshake (RFC 6455 §4), then its messages. */
  async #upgrade(
    caller: Caller,
    reader: RequestReader,
    route: Route,
    outgoing: { readonly target: string; readonly headers: string },
    policy: HostPolicy,
  ): Promise<void> {
    const { egressSocket, idleTimeoutMs, state } = this.#options;
    const { placeholders, secrets, ca } = policy;
    // Compressed messages could not be looked into.
    const headers = placeholders.isEmpty
      ? outgoing.headers
      : outgoing.headers.replace(/^sec-websocket-extensions: .*\r\n/gm, "");
    const destination = destinationOf(route.target, route.tls, ca);
    const wire = await openWire(egressSocket, destination, caller.signal);
    try {
      const { hostLine } = this.#upstream(route, policy);
      await wire.write(latin1Bytes(
        `GET ${outgoing.target} HTTP/1.1\r\n${hostLine}${headers}` +
          "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      ));
      const responses = new ResponseReader(wire);
      const answer = await responses.readSwitch();
      if (answer.status !== 101) {
        throw new ProxyError(
          "upgrade-refused",
          `Cannot open the WebSocket: the upstream answered ${answer.status}`,
          { status: answer.status >= 400 ? answer.status : 502 },
        );
      }
      const lines = passedHeaders(answer.headers, secrets)
        .map(([name, value]) => `${name}: ${value}\r\n`).join("");
      await caller.wire.write(latin1Bytes(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
          `${lines}\r\n`,
      ));
      const swapper = new WebSocketSwapper(placeholders);
      await splice(
        new Ahead(reader.takeRest(), caller.wire),
        new Ahead(responses.takeRest(), wire),
        {
          ...(secrets.isEmpty ? {} : { scrubber: new WebSocketScrubber(secrets) }),
          ...(placeholders.isEmpty ? {} : { outgoing: (bytes) => swapper.push(bytes) }),
          onFault: (thrown) => state.note(thrown),
          onBytes: (direction, count) => {
            caller.touch(idleTimeoutMs);
            if (direction === "up") state.counters.bytesIn += count;
            else state.counters.bytesOut += count;
          },
        },
      );
    } finally {
      wire.close();
    }
  }

  #forgetUnused(): void {
    for (const [key, upstream] of this.#upstreams) {
      if (upstream.isUnused) this.#upstreams.delete(key);
    }
  }

  /** Called now and then: ends what has been silent for too long. */
  sweep(): void {
    for (const upstream of this.#upstreams.values()) upstream.sweep();
  }

  close(): void {
    for (const upstream of this.#upstreams.values()) upstream.close();
  }
}

/** @throws {ProxyError} `bad-request` */
function plainRoute({ target: text }: RequestHead): Route {
  const url = /^http:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(text);
  const target = url === null ? null : parseAuthority(withPort(url[1]!, 80));
  if (target === null) throw badRequest("the target is no http:// address");
  return { target, tls: false, ...pathOf(url![2] ?? "/") };
}

/** @throws {ProxyError} `bad-request`, or `wrong-host` */
function tlsRoute(head: RequestHead, target: Target): Route {
  const absolute = /^https:\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(head.target);
  const given = absolute?.[1] ?? head.headers.find(([name]) => name === "host")?.[1];
  if (given === undefined) throw missingHost();
  const named = parseAuthority(withPort(given, 443));
  requireHost(named === null ? given : authorityOf(named), authorityOf(target));
  if (absolute === null && head.method === "OPTIONS" && head.target === "*") {
    return { target, tls: true, path: "*", query: "" };
  }
  const rest = absolute === null ? head.target : absolute[2] ?? "/";
  if (absolute === null && !rest.startsWith("/")) throw badRequest("its target is no path");
  return { target, tls: true, ...pathOf(rest) };
}

function pathOf(rest: string): { path: string; query: string } {
  return splitUrl(`http://host${rest.startsWith("/") ? rest : `/${rest}`}`);
}

function expectsContinue({ headers, version }: RequestHead): boolean {
  return version === "1.1" &&
    headers.some(([name, value]) => name === "expect" && value.toLowerCase() === "100-continue");
}
