// SPDX-License-Identifier: Apache-2.0

/** The relay: shows one principal's tmux session to any number of watchers over one Unix socket. */
import { type Clock, systemClock } from "../lib/clock.ts";
import type { RelayBootstrap } from "./api.ts";
import { OBSERVE_PROTOCOL, RELAY_SOCKET, RELAY_TMUX_SOCKET } from "./constants.ts";
import { parseAttach } from "./frames.ts";
import { Pace } from "./pace.ts";
import { Session } from "./session.ts";
import { serveWatcher } from "./watcher.ts";

/** Each costs a tmux client. */
const MAX_WATCHERS = 32;
/** Seconds without a pong after which a watcher's connection counts as dead. */
const PING_SECONDS = 30;

export interface RelayOptions {
  readonly bootstrap: RelayBootstrap;
  readonly socket?: string;
  readonly tmuxSocket?: string;
  readonly clock?: Clock;
}

export class Relay {
  readonly #options: RelayOptions;
  readonly #clock: Clock;
  readonly #done = Promise.withResolvers<void>();
  #server: Deno.HttpServer | null = null;
  #idle = new AbortController();
  #watchers = 0;
  readonly #session: Session;
  readonly #pace: Pace;
  /** While somebody watches: resolves when the program has ended. */
  #death: { readonly died: Promise<void>; readonly stop: AbortController } | null = null;

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

  /** Resolves when it listens. */
  async listen(): Promise<void> {
    // A relay that was killed leaves its file behind.
    await Deno.remove(this.#socketPath).catch(() => {});
    this.#server = Deno.serve(
      { path: this.#socketPath, onListen() {} },
      (request) => this.#handle(request),
    );
    await Deno.chmod(this.#socketPath, 0o660);
    this.#awaitIdle();
  }

  /** Resolves when there was no watcher for `idle_ms`, or after `close()`. */
  async finished(): Promise<void> {
    await this.#done.promise;
    await Deno.remove(this.#socketPath).catch(() => {});
    this.#server?.unref();
  }

  close(): void {
    this.#idle.abort();
    this.#done.resolve();
  }

  #awaitIdle(): void {
    this.#idle = new AbortController();
    this.#clock.sleep(this.#options.bootstrap.idle_ms, this.#idle.signal).then(
      () => this.#done.resolve(),
      // Somebody came.
      () => {},
    );
  }

  #handle(request: Request): Response {
    const url = new URL(request.url);
    if (url.pathname !== "/v1/attach" || request.method !== "GET") {
      return refusal(404, "not-found", `Cannot find "${url.pathname}": no such endpoint`);
    }
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(426, "not-a-websocket", "Cannot observe: the request is no WebSocket");
    }
    if (this.#watchers >= MAX_WATCHERS) {
      return refusal(429, "too-many", `Cannot observe: ${MAX_WATCHERS} watchers are there already`);
    }
    const asked = request.headers.get("sec-websocket-protocol")?.split(/\s*,\s*/) ?? [];
    const { socket, response } = Deno.upgradeWebSocket(request, {
      ...(asked.includes(OBSERVE_PROTOCOL) ? { protocol: OBSERVE_PROTOCOL } : {}),
      idleTimeout: PING_SECONDS,
    });
    const { principal, machine, session } = this.#options.bootstrap;
    this.#watchers++;
    this.#idle.abort();
    this.#death ??= this.#awaitDeath();
    serveWatcher(socket, {
      ...parseAttach(url.searchParams),
      tmuxSocket: this.#tmuxSocket,
      session: this.#session,
      sessionName: session,
      died: this.#death.died,
      principal,
      machine,
      watchers: this.#watchers,
      pace: this.#pace,
      clock: this.#clock,
    }).then(() => {
      this.#watchers--;
      if (this.#watchers > 0) return;
      this.#death?.stop.abort();
      this.#death = null;
      this.#awaitIdle();
    });
    return response;
  }

  #awaitDeath(): { died: Promise<void>; stop: AbortController } {
    const stop = new AbortController();
    const { promise, resolve } = Promise.withResolvers<void>();
    // Where the server itself goes, every client's own end tells.
    this.#session.died(stop.signal).then((died) => died && resolve());
    return { died: promise, stop };
  }
}

function refusal(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}
