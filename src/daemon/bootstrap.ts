// SPDX-License-Identifier: Apache-2.0

/** What the daemon is started with. */
import * as z from "zod/mini";
import { NotifyTarget } from "./attention/notify/types.ts";

/** On stdin, once. Holds the machine's Matrix session. */
export const DaemonBootstrap = z.object({
  version: z.literal(1),
  homeserver_url: z.string(),
  user_id: z.string(),
  access_token: z.string(),
  server_name: z.string(),
  /** Localparts. */
  namespace: z.string(),
  fleet: z.string(),
  /** User ids that may write assignments and templates besides power-level rules. */
  admins: z.array(z.string()),
  run_dir: z.string(),
  /** Own directory: persisted `since`, caches. May be deleted at any time. */
  state_dir: z.string(),
  launcher_socket: z.string(),
  /** By which the supervisor that started this daemon is known; absent: there is none. Secret. */
  supervisor_token: z.optional(z.string()),
  /** Absent: no web page. */
  web: z.optional(z.object({
    /** Of the page's process. */
    socket: z.string(),
    /** On loopback. Null: a port that is free, the same at each start where it can be. */
    listen: z.nullable(z.object({ hostname: z.string(), port: z.number() })),
    /** By which a reverse proxy is reached, `https://host`. */
    origins: z.array(z.string()),
  })),
  /** Whom to tell when an agent needs a person. Secrets. */
  notify: z.optional(z.array(NotifyTarget)),
  /** Where metrics are told beside the socket, and to whom; absent: nowhere. The token is secret. */
  metrics: z.optional(z.object({
    listen: z.object({ hostname: z.string(), port: z.number() }),
    token: z.string(),
  })),
  /** Of the embedded homeserver; absent: it is another's. Secret. */
  homeserver_metrics_token: z.optional(z.string()),
  /** Operators' public keys, by which requests from other machines are believed; absent: none are. */
  operator_keys: z.optional(z.array(z.string())),
  /** Where other machines of the fleet reach this one; absent: they don't. */
  peer: z.optional(z.object({
    listen: z.object({ hostname: z.string(), port: z.number() }),
    /** `host:port`, as they reach it; none: as it listens. */
    addresses: z.array(z.string()),
  })),
});
export type DaemonBootstrap = z.infer<typeof DaemonBootstrap>;
