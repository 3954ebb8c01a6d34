// SPDX-License-Identifier: Apache-2.0

/**
 * `proxy.sock`, on one `Deno.serve` after another. Deno 2.9.6 keeps a connection for ever when its caller
 * leaves while its body is being read and its answer has begun; only the end of its server frees it. So when
 * there may be many of those, a new server takes the socket's path over, and the old one ends once nobody is
 * on it.
 */
import type { AgentInterface } from "./agent.ts";
import { errorResponse } from "./errors.ts";

/** So many bodies that were given up are worth a new server. */
const MAX_ABANDONED = 32;
/** Servers that have not ended yet; above, no new one is begun. */
const MAX_OLD = 4;
/** An old one without requests waits so long for those that found its socket before it was taken away. */
const REST_MS = 10_000;

interface Served {
  readonly server: Deno.HttpServer;
  readonly active: () => number;
  /** When a request last ended, or it became old. */
  readonly restsSince: () => number;
  readonly rest: () => void;
}

export interface AgentServerOptions {
  readonly path: string;
  readonly handle: AgentInterface["handle"];
  /** How many bodies were ever given up. */
  readonly abandoned: () => number;
  readonly now: () => number;
  /** The socket could not be made anew; the old one goes on. */
  readonly onFault: (thrown: unknown) => void;
}

export class AgentServer {
  readonly #options: AgentServerOptions;
  #seen = 0;
  #current: Served | null = null;
  #old: Served[] = [];
  #renewing: Promise<void> | null = null;
  #stopped = false;

  private constructor(options: AgentServerOptions) {
    this.#options = options;
  }

  /** @throws when the socket cannot be made */
  static async start(options: AgentServerOptions): Promise<AgentServer> {
    const one = new AgentServer(options);
    one.#current = await one.#begin(options.path);
    return one;
  }

  async #begin(path: string): Promise<Served> {
    let active = 0;
    let since = 0;
    const { now, handle } = this.#options;
    const rest = () => since = now();
    const ended = () => {
      active--;
      rest();
      this.#renewWhenDue();
    };
    const server = await listen(path, (request, info) => {
      active++;
      info.completed.then(ended, ended);
      return handle(request, info);
    });
    return { server, active: () => active, restsSince: () => since, rest };
  }

  #renewWhenDue(): void {
    const abandoned = this.#options.abandoned();
    if (abandoned - this.#seen < MAX_ABANDONED || this.#old.length >= MAX_OLD) return;
    if (this.#stopped || this.#renewing !== null) return;
    this.#seen = abandoned;
    this.#renewing = this.#renew()
      .catch(this.#options.onFault)
      .finally(() => this.#renewing = null);
  }

  async #renew(): Promise<void> {
    const { path } = this.#options;
    const next = path.replace(/[^/]*$/, "next.sock");
    const served = await this.#begin(next);
    try {
      // In one step: there is never no socket.
      await Deno.rename(next, path);
    } catch (thrown) {
      await served.server.shutdown();
      throw thrown;
    }
    this.#current!.rest();
    this.#old.push(this.#current!);
    this.#current = served;
  }

  /** Called now and then: ends old servers that nobody is on. */
  sweep(): void {
    const now = this.#options.now();
    const left = this.#old.filter((served) =>
      served.active() === 0 && now - served.restsSince() > REST_MS
    );
    this.#old = this.#old.filter((served) => !left.includes(served));
    for (const { server } of left) void server.shutdown();
    this.#renewWhenDue();
  }

  /** Resolves when open requests are answered. */
  async shutdown(): Promise<void> {
    this.#stopped = true;
    await this.#renewing;
    await Promise.all([this.#current!, ...this.#old].map(({ server }) => server.shutdown()));
  }
}

/** The socket's directory keeps strangers out until its own mode does. */
export async function listen(
  path: string,
  handler: (
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.UnixAddr>,
  ) => Promise<Response>,
): Promise<Deno.HttpServer> {
  await removeStale(path);
  const server = Deno.serve({ path, onListen() {}, onError: errorResponse }, handler);
  await Deno.chmod(path, 0o660);
  return server;
}

/** Left behind by a killed predecessor: each socket has one owner. */
export async function removeStale(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
}
