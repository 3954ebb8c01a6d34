// SPDX-License-Identifier: Apache-2.0

/**
 * Where one worker asks for workers of its own: a Unix socket in its fabric_dir, which in a sandbox nobody else sees, for
 * whoever has the token of its spec. So what it may give is known before it says anything.
 */
import { bearerOf, sameSecret } from "../../lib/bearer.ts";
import { messageOf } from "../../lib/errors.ts";
import { listenUnix } from "../../lib/http/server.ts";
import { ParentError } from "../parent/errors.ts";
import { narrow } from "../parent/narrow.ts";
import { ParentWorker } from "../parent/parent.ts";
import type { Worker } from "../parent/worker.ts";
import { servePlacement } from "../place/mod.ts";
import type { ProvisionInput, ProvisionSpec } from "../provision/mod.ts";
import { Child, endedWith } from "./child.ts";
import type { Nest } from "./nest.ts";

/** In one run of the worker at the top, all that came of it counted together. */
export const MAX_IN_RUN = 64;
/** Of one worker: those that have a child, and those that have not said yet what they want. */
const MAX_CONNECTIONS = 16;

export interface Spawning {
  open(spec: ProvisionSpec): Promise<Door>;
}

/** What a run of the worker above is to those that come of it. */
export interface Lineage {
  /** How many came of the run at the top. */
  readonly family: { count: number };
  /** One of them did something: nobody above is silent. */
  hear(): void;
}

/** A run of the worker whose door it is. */
export interface Attendance {
  /** Whoever decides about what that worker asks decides about its children's questions, too. */
  approve(body: unknown, over: AbortSignal): Promise<boolean>;
  hear(): void;
}

interface Run extends Attendance, Lineage {
  readonly over: AbortController;
}

export class Door {
  /** For the spec of the worker. */
  readonly endpoint: string;
  readonly #spec: ProvisionSpec;
  readonly #nest: Nest;
  readonly #above: Lineage | null;
  readonly #children = new Set<Promise<Child>>();
  #server: Deno.HttpServer | null = null;
  #run: Run | null = null;
  #connections = 0;

  /** Nobody can ask from outside before it is open. */
  constructor(spec: ProvisionSpec, nest: Nest, above: Lineage | null) {
    this.#spec = spec;
    this.#nest = nest;
    this.#above = above;
    this.endpoint = `unix://${spec.fabric_dir}/spawn.door`;
  }

  /**
   * @param spec of the worker that will ask, with its worker_auth_token; its fabric_dir is there
   * @param above null: it is nobody's child
   */
  static async open(spec: ProvisionSpec, nest: Nest, above: Lineage | null): Promise<Door> {
    const door = new Door(spec, nest, above);
    const path = door.endpoint.slice("unix://".length);
    door.#server = await listenUnix(path, (request) => door.#handle(request), { mode: 0o600 });
    return door;
  }

  /** From now on it may ask. */
  begin({ approve, hear }: Attendance): void {
    const above = this.#above;
    this.#run = {
      approve,
      hear: () => {
        hear();
        above?.hear();
      },
      family: above?.family ?? { count: 0 },
      over: new AbortController(),
    };
  }

  /** Its run is over: so are all that came of it. */
  async end(): Promise<void> {
    this.#run?.over.abort();
    this.#run = null;
    await Promise.all([...this.#children].map((child) => child.then((one) => one.end(), () => {})));
  }

  /** The worker is gone. Idempotent. */
  async close(): Promise<void> {
    await this.end();
    const server = this.#server;
    this.#server = null;
    await server?.shutdown();
  }

  /** @throws {ParentError} `too-deep`, `too-many`, `not-allowed`, and whatever keeps a worker from starting */
  spawn(asked: ProvisionInput): Promise<Worker> {
    const child = this.#start(asked);
    this.#children.add(child);
    void child.then(({ ended }) => ended).catch(() => {}).then(() => this.#children.delete(child));
    return child;
  }

  async #start(asked: ProvisionInput): Promise<Child> {
    const run = this.#run;
    if (run === null) {
      throw new ParentError("not-allowed", "Cannot spawn a worker: its own parent has no run on");
    }
    const spec = narrow(this.#spec, asked);
    if (run.family.count >= MAX_IN_RUN) {
      throw new ParentError(
        "too-many",
        `Cannot spawn a worker: ${MAX_IN_RUN} came of this run already`,
        "do the rest without",
      );
    }
    const { options, names } = this.#nest;
    const name = names.take();
    const fabric_dir = `${options.dir}/${name}`;
    run.family.count++;
    const clear = () => Deno.remove(fabric_dir, { recursive: true }).catch(() => {});
    const leave = async () => {
      await clear();
      names.giveBack(name);
    };
    try {
      // What a parent that was killed may have left there.
      await clear();
      const worker = await ParentWorker.start({
        ...spec,
        identity: { ...spec.identity, child_id: name },
        fabric_dir,
        // One run is what it is for.
        reusable: false,
      }, {
        ...options,
        launcher: endedWith(run.over.signal, options.launcher),
        spawning: { open: (own) => this.#nest.open(own, run) },
      });
      const child = new Child(worker, run, leave);
      if (run.over.signal.aborted) await child.end();
      return child;
    } catch (thrown) {
      await leave();
      throw thrown;
    }
  }

  #handle(request: Request): Response {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refusal(426, "not-a-websocket", "it takes a WebSocket");
    }
    if (!sameSecret(bearerOf(request), this.#spec.secrets.worker_auth_token!)) {
      return refusal(401, "unauthorized", "it is another's to ask here");
    }
    if (this.#connections >= MAX_CONNECTIONS) {
      return refusal(503, "too-many", `${MAX_CONNECTIONS} ask already`);
    }
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    this.#connections++;
    void servePlacement(socket, { start: (spec) => this.spawn(spec) })
      .catch((thrown) => console.error(`a worker's child is lost: ${messageOf(thrown)}`))
      .finally(() => this.#connections--);
    return response;
  }
}

function refusal(status: number, code: string, why: string): Response {
  const message = `Cannot spawn a worker: ${why}`;
  return Response.json({ error: { code, message } }, { status });
}
