// SPDX-License-Identifier: Apache-2.0

/** The host's process: its socket, its journal, and its end when there is nothing left to hold. */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { createHandler, HttpApiError, listenUnix } from "../../lib/http/mod.ts";
import type { Logger } from "../../lib/log.ts";
import { loadMetrics } from "../../lib/metrics/load.ts";
import { type Measured, ownMetrics } from "../../lib/metrics/mod.ts";
import { servePlacement } from "../place/mod.ts";
import type { ProvisionSpec } from "../provision/mod.ts";
import type { Worker } from "../parent/worker.ts";
import { HOST_JOURNAL, HOST_SOCKET, HostApi, type HostBootstrap, WorkerView } from "./api.ts";
import { enterDirectory } from "./directory.ts";
import type { Held } from "./held.ts";
import { Host, type HostOptions } from "./host.ts";
import { Journal } from "./journal.ts";
import { Places } from "./places.ts";

/** How long it stays with nothing to hold. */
const LINGER_MS = 60_000;

export interface ServeHostOptions extends Pick<HostOptions, "launcher" | "registrationMs"> {
  readonly bootstrap: HostBootstrap;
  /** Whether another host answers at the socket. */
  isServed(): Promise<boolean>;
  readonly log: Logger;
  /** Ends it, and all that it holds. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly lingerMs?: number;
}

/** @returns when it has ended, or at once where another serves already @throws {HostError} */
export async function serveHost(options: ServeHostOptions): Promise<void> {
  const { bootstrap: { host_dir, state_dir }, log, clock = systemClock, signal } = options;
  const directory = await enterDirectory(host_dir, options.isServed, clock);
  if (directory === null) return;
  const places = new Places(host_dir);
  await places.clear();
  const over = Promise.withResolvers<void>();
  const journal = new Journal(`${host_dir}/${HOST_JOURNAL}`, log);
  const linger = new Linger(options.lingerMs ?? LINGER_MS, clock, over.resolve);
  const host = new Host({
    places,
    launcher: options.launcher,
    ...(options.registrationMs === undefined ? {} : { registrationMs: options.registrationMs }),
    clock,
    onChange: () => {
      journal.write(host.views());
      linger.look(host.isEmpty);
    },
  });
  journal.write([]);
  const placements = new Set<Promise<void>>();
  const place = (request: Request, start: (spec: ProvisionSpec) => Promise<Held>) => {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      throw new HttpApiError("not-a-websocket", "Cannot serve the request: it takes a WebSocket", {
        status: 426,
      });
    }
    // Pings are for networks: a Unix socket's other end is there or is not.
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    const keep = (worker: Worker) => (worker as Held).release();
    const placement = servePlacement(socket, { start, keep }, clock)
      .catch((thrown) => log.error(`a placement failed: ${String(thrown)}`))
      .finally(() => placements.delete(placement));
    placements.add(placement);
    return response;
  };
  const handler = createHandler(HostApi, {
    host: () => ({ state_dir, pid: Deno.pid }),
    metrics: async ({ request }) =>
      ownMetrics(request, await loadMetrics(), workersBy(host.views())),
    list: async () => ({ workers: await host.list() }),
    spawn: ({ body }) => host.spawn(body),
    spec: ({ params }) => withoutSecrets(host.specOf(params["name"]!)),
    place: ({ request }) => place(request, (spec) => host.place(spec)),
    placeOn: ({ request, params }) => place(request, () => host.take(params["name"]!)),
    stop: async ({ params }) => ({ stopped: await host.stop(params["name"]!) }),
    stopAll: async () => {
      const stopped = await host.stopAll();
      over.resolve();
      return { stopped };
    },
  });
  const server = await listenUnix(`${host_dir}/${HOST_SOCKET}`, handler, { mode: 0o600 });
  const onSignal = () => over.resolve();
  signal.addEventListener("abort", onSignal, { once: true });
  if (signal.aborted) onSignal();
  linger.look(true);
  await over.promise;
  signal.removeEventListener("abort", onSignal);
  linger.end();
  await host.stopAll();
  await Promise.all(placements);
  // Whoever asked has the answer before it ends.
  await server.shutdown();
  await journal.end();
  await directory.leave();
}

/** Of a document that others of the same user may have; its secrets stay in the host and its worker. */
function withoutSecrets(spec: ProvisionSpec): Record<string, never> {
  const { secrets: _, capabilities: { mcp: __, mcp_proxy: ___, ...capabilities }, ...rest } = spec;
  return JSON.parse(JSON.stringify({ ...rest, capabilities }));
}

function workersBy(views: readonly Pick<WorkerView, "state">[]): Measured {
  return {
    bureau_worker_host_workers: WorkerView.shape.state.options.map((state) => [
      { state },
      views.filter((view) => view.state === state).length,
    ]),
  };
}

/** The time with nothing to hold. */
class Linger {
  #timer: AbortController | null = null;

  constructor(
    private readonly ms: number,
    private readonly clock: Clock,
    private readonly onOver: () => void,
  ) {}

  look(isEmpty: boolean): void {
    if (!isEmpty) return this.end();
    if (this.#timer !== null) return;
    this.#timer = new AbortController();
    this.clock.sleep(this.ms, this.#timer.signal).then(this.onOver, () => {});
  }

  end(): void {
    this.#timer?.abort();
    this.#timer = null;
  }
}
