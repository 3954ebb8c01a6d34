// SPDX-License-Identifier: Apache-2.0

/** Metrics on loopback, for a Prometheus of this machine: it speaks no Unix sockets. Whoever scrapes has the token. */
import { bearerOf, sameSecret } from "../../lib/bearer.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { metricsResponse } from "../../lib/metrics/mod.ts";
import type { DaemonBootstrap } from "../api.ts";
import type { MetricsGatherer } from "./gather.ts";

const RETRY_MS = 5_000;

export interface DoorOptions {
  readonly bootstrap: Pick<DaemonBootstrap, "metrics">;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export class MetricsDoor {
  readonly #options: DoorOptions;

  constructor(options: DoorOptions) {
    this.#options = options;
  }

  open(gatherer: Pick<MetricsGatherer, "gather">): void {
    const { metrics } = this.#options.bootstrap;
    if (metrics !== undefined) void this.#listen(metrics, gatherer);
  }

  async #listen(
    { listen, token }: NonNullable<DaemonBootstrap["metrics"]>,
    gatherer: Pick<MetricsGatherer, "gather">,
  ): Promise<void> {
    const { clock, log, signal } = this.#options;
    while (!signal.aborted) {
      try {
        const server = Deno.serve(
          { ...listen, onListen() {} },
          (request) => answer(request, token, gatherer),
        );
        // What is open ends with the process.
        server.unref();
        signal.addEventListener("abort", () => void server.shutdown().catch(() => {}), {
          once: true,
        });
        log.info("metrics are served", { ...listen });
        return;
      } catch (thrown) {
        log.warn("metrics can't be served", { ...listen, why: messageOf(thrown) });
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }
}

async function answer(
  request: Request,
  token: string,
  gatherer: Pick<MetricsGatherer, "gather">,
): Promise<Response> {
  if (!sameSecret(bearerOf(request), token)) {
    return new Response("Cannot serve this: the bearer token is not the one of `token_file`\n", {
      status: 401,
      headers: { "www-authenticate": "Bearer" },
    });
  }
  if (new URL(request.url).pathname !== "/metrics" || request.method !== "GET") {
    return new Response("Cannot serve this: there is GET /metrics\n", { status: 404 });
  }
  return metricsResponse(request, await gatherer.gather());
}
