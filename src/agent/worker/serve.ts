// SPDX-License-Identifier: Apache-2.0

/**
 * A worker's door: a Unix socket in its fabric directory, where one parent at a time is served, and a record that says
 * so. Ends when its work is done, or when nobody came.
 */
import { bearerOf, sameSecret } from "../../lib/bearer.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { BureauError } from "../../lib/errors.ts";
import { listenUnix } from "../../lib/http/server.ts";
import type { Logger } from "../../lib/log.ts";
import { VERSION } from "../../lib/version.ts";
import { Fabric, Lease } from "../fabric/mod.ts";
import type { ProvisionSpec } from "../provision/spec.ts";
import { proofOf } from "./auth.ts";
import type { Executor } from "./executor.ts";
import { Session } from "./session.ts";

/**
 * How long a worker waits for its first parent: it may have lost it while it started. One that may be used again waits
 * for it as long as for any other, where that is longer.
 */
const FIRST_PARENT_MS = 120_000;
/** How long one that may be used again waits for another. */
const IDLE_SECONDS = 300;

/** How long a new parent waits for the one before it. */
const LEAVING_MS = 5_000;

export class WorkerError extends BureauError {
  override readonly name = "WorkerError";
}

export interface ServeOptions {
  readonly spec: ProvisionSpec;
  readonly executor: Executor;
  readonly log: Logger;
  /** Ends it: the run is cancelled, the record withdrawn. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly firstParentMs?: number;
}

/** @throws {WorkerError} `no-parent`; {FabricError} */
export async function serveWorker(options: ServeOptions): Promise<void> {
  const { spec, executor, clock = systemClock, log } = options;
  const { child_id, role } = spec.identity;
  const fabric = new Fabric(spec.fabric_dir, clock);
  await fabric.open();
  const socket = await fabric.socketPath(child_id);
  const door = new Door(options);
  const server = await listenUnix(socket, (request) => door.handle(request), { mode: 0o600 });
  const lease = new Lease(fabric, {
    agent_id: child_id,
    role,
    labels: [],
    endpoint: `unix://${socket}`,
    pid: Deno.pid,
    version: VERSION,
    started_at: new Date(clock.now()).toISOString(),
    enforces: [...executor.enforces],
  }, clock);
  const onSignal = () => door.finish();
  options.signal?.addEventListener("abort", onSignal, { once: true });
  if (options.signal?.aborted) door.finish();
  try {
    await lease.begin(() => log.warn("its record could not be renewed: nobody will find it"));
    // Others' leavings; of no importance here.
    void fabric.gc().catch(() => {});
    await door.served;
  } finally {
    options.signal?.removeEventListener("abort", onSignal);
    await lease.end().catch(() => {});
    await server.shutdown();
    await Deno.remove(socket).catch(() => {});
    await executor.close?.();
  }
}

/** Lets one parent in at a time, and knows when there will be no further. */
class Door {
  /** Resolves when this worker is done; rejects when no parent ever came. */
  readonly served: Promise<void>;
  #options: ServeOptions;
  readonly #clock: Clock;
  readonly #done = Promise.withResolvers<void>();
  #waiting = new AbortController();
  #session: Session | null = null;
  #socket: WebSocket | null = null;
  /** The parent that is here has left. */
  #left = Promise.withResolvers<void>();

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.served = this.#done.promise;
    const { reusable, limits } = options.spec;
    const idleMs = reusable ? (limits.idle_timeout_secs ?? IDLE_SECONDS) * 1000 : 0;
    const ms = options.firstParentMs ?? Math.max(FIRST_PARENT_MS, idleMs);
    this.#await(ms, () =>
      this.#done.reject(
        new WorkerError("no-parent", `Cannot serve: no parent came within ${ms / 1000} s`),
      ));
  }

  async handle(request: Request): Promise<Response> {
    const { spec } = this.#options;
    const { pathname } = new URL(request.url);
    const token = spec.secrets.worker_auth_token;
    if (pathname === "/v1/worker" && request.method === "GET") {
      const challenge = request.headers.get("x-bureau-challenge") ?? "";
      return Response.json({
        agent_id: spec.identity.child_id,
        pid: Deno.pid,
        busy: this.#session !== null,
        proof: token === undefined ? null : await proofOf(token, challenge),
      });
    }
    if (pathname !== "/v1/run") return refusal(404, "not-found", "there is nothing here");
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(426, "not-a-websocket", "it takes a WebSocket");
    }
    if (token !== undefined && !sameSecret(bearerOf(request), token)) {
      return refusal(401, "unauthorized", "it knows another parent");
    }
    await this.#parentToLeave();
    if (this.#session !== null) return refusal(503, "busy", "it has a parent already");
    return this.#serve(request);
  }

  /** One with nothing to do may be on its way out, and the next one here before we know. */
  async #parentToLeave(): Promise<void> {
    if (this.#session === null || this.#session.isRunning) return;
    const over = new AbortController();
    const patience = this.#clock.sleep(LEAVING_MS, over.signal).catch(() => {});
    await Promise.race([this.#left.promise, patience]);
    over.abort();
  }

  /** Whatever runs is cancelled, and that was the last. */
  finish(): void {
    this.#waiting.abort();
    if (this.#session === null) this.#done.resolve();
    else {
      this.#options = { ...this.#options, spec: { ...this.#options.spec, reusable: false } };
      this.#session.receive('{"kind":"cancel"}');
      this.#socket?.close();
    }
  }

  #serve(request: Request): Response {
    const { spec, executor, clock } = this.#options;
    // Pings are for networks: a Unix socket's other end is there or is not.
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    this.#waiting.abort();
    const seconds = spec.limits.run_timeout_secs;
    const session = new Session(socket, {
      executor,
      ...(seconds === undefined ? {} : { timeoutMs: seconds * 1000 }),
      ...(clock === undefined ? {} : { clock }),
    });
    this.#session = session;
    this.#socket = socket;
    this.#left = Promise.withResolvers();
    socket.onmessage = ({ data }) => session.receive(data);
    socket.onerror = () => {};
    socket.onclose = async () => {
      const isClean = await session.close();
      this.#session = this.#socket = null;
      this.#left.resolve();
      const { reusable, limits } = this.#options.spec;
      if (!reusable || !isClean) this.#done.resolve();
      else {
        this.#await((limits.idle_timeout_secs ?? IDLE_SECONDS) * 1000, () => this.#done.resolve());
      }
    };
    return response;
  }

  #await(ms: number, onNobody: () => void): void {
    this.#waiting = new AbortController();
    this.#clock.sleep(Math.min(ms, 2 ** 31 - 1), this.#waiting.signal).then(onNobody, () => {});
  }
}

function refusal(status: number, code: string, why: string): Response {
  const message = `Cannot serve the request: ${why}`;
  return Response.json({ error: { code, message } }, { status });
}
