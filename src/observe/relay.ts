// SPDX-License-Identifier: Apache-2.0

/** The relay: shows one principal's tmux session to any number of watchers over one Unix socket. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { ownMetrics } from "../lib/metrics/mod.ts";
import type { RelayBootstrap } from "./api.ts";
import { OBSERVE_PROTOCOL, RELAY_SOCKET, RELAY_TMUX_SOCKET } from "./constants.ts";
import { parseAttach } from "./frames.ts";
import { Hub } from "./hub.ts";
import { Keys } from "./keys.ts";
import { Pace } from "./pace.ts";
import { Session } from "./session.ts";
import { Source } from "./source.ts";
import type { MakeTap } from "./tap.ts";
import { Terminal } from "./terminal.ts";

const MAX_WATCHERS = 64;
/** Seconds without a pong after which a watcher's connection counts as dead. */
const PING_SECONDS = 30;
/** What the program wrote at its end has been read when nothing came for so long. */
const QUIET_MS = 100;
const LAST_WORDS_MS = 2_000;

export interface RelayOptions {
  readonly bootstrap: RelayBootstrap;
  readonly socket?: string;
  readonly tmuxSocket?: string;
  readonly taps?: readonly MakeTap[];
  /** Other WebSockets than `/v1/attach`, by path. */
  readonly endpoints?: Readonly<Record<string, (socket: WebSocket) => void>>;
  readonly clock?: Clock;
}

export class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #done = Promise.withResolvers<void>();
  readonly #session: Session;
  readonly #stop = new AbortController();
  #server: Deno.HttpServer | null = null;
  #terminal: Terminal | null = null;
  #hub: Hub | null = null;
  #parts = 0;
  readonly #pace: Pace;
  #ending: Promise<void> | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pace = new Pace(this.#clock);
    this.#session = new Session(this.#tmuxSocket, options.bootstrap.session);
  }

  get #tmuxSocket(): string {
    return this.#options.tmuxSocket ?? RELAY_TMUX_SOCKET;
  }

  get #socketPath(): string {
    return this.#options.socket ?? RELAY_SOCKET;
  }

  /** Resolves when it listens. @throws {ObserveError} `no-session` */
  async listen(): Promise<void> {
    const { bootstrap: { session, principal, machine }, taps } = this.#options;
    // First of all: a program that ends before this waits tells nobody else. (The server's own end is the
    // end of its client.)
    const died = this.#session.died(this.#stop.signal);
    const size = await this.#session.prepare().catch((thrown) => {
      this.#stop.abort();
      throw thrown;
    });
    const terminal = new Terminal({ tmuxSocket: this.#tmuxSocket, session, size });
    const keys = new Keys(terminal);
    this.#terminal = terminal;
    this.#hub = new Hub({
      principal,
      machine,
      size,
      terminal: {
        write: (bytes) => keys.write(bytes),
        resize: (size) => terminal.resize(size),
      },
      ...(taps === undefined ? {} : { taps }),
      now: () => this.#clock.now(),
    });
    this.#read(terminal, this.#hub).then((reason) => this.#end(reason));
    died.then((died) => {
      if (died) void this.#endAfterLastWords("the program ended");
    });
    // A relay that was killed leaves its file behind.
    await Deno.remove(this.#socketPath).catch(() => {});
    this.#server = Deno.serve(
      { path: this.#socketPath, onListen() {} },
      (request) => this.#handle(request),
    );
    await Deno.chmod(this.#socketPath, 0o660);
  }

  /** @returns why it ended */
  async #read(terminal: Terminal, hub: Hub): Promise<string> {
    const source = new Source({ onTitle: (title) => hub.title(title) });
    let drew = false;
    try {
      while (true) {
        const bytes = await terminal.read();
        if (bytes === null) break;
        this.#parts++;
        const shown = source.push(bytes);
        // A client that cannot attach says why in a line of plain text.
        drew ||= shown.includes(0x1b);
        if (shown.length > 0) hub.push(shown);
        await this.#pace.spend(bytes.length, hub.watchers);
      }
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    }
    const status = await terminal.ended();
    return status === 0 || drew ? "the session ended" : "the session cannot be attached";
  }

  /** Ends when what was written until now has been read. */
  async #endAfterLastWords(reason: string): Promise<void> {
    this.#pace.end();
    const deadline = this.#clock.now() + LAST_WORDS_MS;
    for (let seen = -1; seen !== this.#parts && this.#clock.now() < deadline;) {
      seen = this.#parts;
      await this.#clock.sleep(QUIET_MS);
    }
    await this.#end(reason);
  }

  #end(reason: string): Promise<void> {
    this.#ending ??= (async () => {
      this.#stop.abort();
      await this.#hub?.end(reason);
      this.#terminal?.kill();
      this.#done.resolve();
    })();
    return this.#ending;
  }

  /** Resolves when the session has ended, or after `close()`, and everybody was told. */
  async finished(): Promise<void> {
    await this.#done.promise;
    await Deno.remove(this.#socketPath).catch(() => {});
    this.#server?.unref();
  }

  close(reason = "the relay stops"): void {
    void this.#endAfterLastWords(reason);
  }

  #handle(request: Request): Response {
    const url = new URL(request.url);
    if (url.pathname === "/metrics" && request.method === "GET") {
      return ownMetrics(request, this.#hub!.measured);
    }
    const other = this.#options.endpoints?.[url.pathname];
    if ((url.pathname !== "/v1/attach" && other === undefined) || request.method !== "GET") {
      return refusal(404, "not-found", `Cannot find "${url.pathname}": no such endpoint`);
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(426, "not-a-websocket", "Cannot observe: the request is no WebSocket");
    }
    const hub = this.#hub!;
    if (other === undefined && hub.watchers >= MAX_WATCHERS) {
      return refusal(429, "too-many", `Cannot observe: ${MAX_WATCHERS} watchers are there already`);
    }
    const asked = request.headers.get("sec-websocket-protocol")?.split(/\s*,\s*/) ?? [];
    const { socket, response } = Deno.upgradeWebSocket(request, {
      ...(asked.includes(OBSERVE_PROTOCOL) ? { protocol: OBSERVE_PROTOCOL } : {}),
      idleTimeout: PING_SECONDS,
    });
    socket.binaryType = "arraybuffer";
    if (other === undefined) this.#serve(socket, url.searchParams, hub);
    else other(socket);
    return response;
  }

  #serve(socket: WebSocket, query: URLSearchParams, hub: Hub): void {
    socket.onopen = () => {
      const watcher = hub.join(socket, parseAttach(query));
      socket.onmessage = ({ data }) => hub.receive(watcher, data);
      socket.onclose = () => hub.leave(watcher);
      socket.onerror = () => hub.leave(watcher);
    };
  }
}

function refusal(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
