// SPDX-License-Identifier: Apache-2.0

/** The resident host of an operator's workers: what it is started with, and what it does for them on its socket. */
import * as z from "zod/mini";
import { defineApi } from "../../lib/http/api.ts";

/** Workers at a time, of all kinds: each is a sandbox of some 100 MB. Known to tasks/grants.txt. */
export const MAX_WORKERS = 16;

/** `host.sock`, in the host's directory. */
export const HOST_SOCKET = "host.sock";
/** What the host held when it last said so; all that is left of one that was killed. */
export const HOST_JOURNAL = "workers.json";

/** What the process `parent` gets on its standard input to be the host. */
export const HostBootstrap = z.object({
  version: z.literal(1),
  mode: z.literal("host"),
  /** Its own: made with mode 0700, gone with it. */
  host_dir: z.string(),
  state_dir: z.string(),
});
export type HostBootstrap = z.infer<typeof HostBootstrap>;

export const Name = z.string().check(
  z.regex(
    /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/,
    "a name has a-z, 0-9 and - in between, 32 at most",
  ),
);

export const SpawnRequest = z.object({
  /** Null: the host finds one. */
  name: z.nullable(Name),
  /** As many workers of one kind under the name, instead of one; null: one. */
  size: z.nullable(z.int().check(z.positive(), z.lte(MAX_WORKERS))),
  /** The launcher's document without what is to run. Opaque here. */
  launcher: z.record(z.string(), z.json()),
  /** A provision spec. Secret. */
  spec: z.record(z.string(), z.json()),
});
export type SpawnRequest = z.infer<typeof SpawnRequest>;

/** What the process `parent` gets to have the host spawn; it starts the host where there is none. */
export const SpawnBootstrap = z.object({
  version: z.literal(1),
  mode: z.literal("spawn"),
  host_dir: z.string(),
  state_dir: z.string(),
  request: SpawnRequest,
  json: z.boolean(),
});
export type SpawnBootstrap = z.infer<typeof SpawnBootstrap>;

export const WorkerView = z.object({
  /** Of one of a pool `POOL/N`. */
  name: z.string(),
  pool: z.nullable(z.string()),
  executor: z.string(),
  role: z.string(),
  state: z.enum(["idle", "running", "ended"]),
  /** Its record is valid and it proved that the record is its own, now. */
  live: z.boolean(),
  /** In this state, in milliseconds since the epoch. */
  since: z.int(),
  runs: z.int(),
  /** How the last of them ended. */
  last: z.nullable(z.enum(["completed", "error", "cancelled", "timeout"])),
  /** Why it ended. */
  reason: z.nullable(z.string()),
});
export type WorkerView = z.infer<typeof WorkerView>;

/** `bureau worker list --json`. */
export const WorkerList = z.object({ workers: z.array(WorkerView) });
export type WorkerList = z.infer<typeof WorkerList>;

/** `bureau worker spawn --json`. */
export const Spawned = z.object({ name: z.string(), workers: z.array(z.string()) });
/** `bureau worker stop --json`; those that were ended already are in it. */
export const Stopped = z.object({ stopped: z.array(z.string()) });
export type Stopped = z.infer<typeof Stopped>;

export const HostApi = defineApi({
  title: "host of workers",
  version: "1",
  routes: {
    host: {
      method: "GET",
      path: "/v1/host",
      summary: "Whose it is.",
      response: z.object({ state_dir: z.string(), pid: z.int() }),
    },
    metrics: {
      method: "GET",
      path: "/metrics",
      summary: "Workers by state, as text for Prometheus.",
      kind: "text",
    },
    list: {
      method: "GET",
      path: "/v1/workers",
      summary:
        "All workers, each asked whether it is there; those that ended stay until the host does.",
      response: WorkerList,
    },
    spawn: {
      method: "POST",
      path: "/v1/workers",
      summary: "Starts a worker, or a pool of them; answers when they are there.",
      request: SpawnRequest,
      response: Spawned,
    },
    spec: {
      method: "GET",
      path: "/v1/workers/:name/spec",
      summary: "What a worker, or those of a pool, were made with, without its secrets.",
      response: z.record(z.string(), z.json()),
    },
    place: {
      method: "GET",
      path: "/v1/place",
      summary: "A worker of the pool that the spec's placement names (src/agent/place).",
      kind: "websocket",
    },
    placeOn: {
      method: "GET",
      path: "/v1/workers/:name/place",
      summary:
        "The same for the worker of this name, or any of this pool; what the spec asks for is what they were made with.",
      kind: "websocket",
    },
    stop: {
      method: "POST",
      path: "/v1/workers/:name/stop",
      summary: "Asks a worker, or all of a pool, to end, and ends what doesn't. Idempotent.",
      response: Stopped,
    },
    stopAll: {
      method: "POST",
      path: "/v1/stop",
      summary: "The same with all, and with the host.",
      response: Stopped,
    },
  },
});
