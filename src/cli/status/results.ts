// SPDX-License-Identifier: Apache-2.0

/** What `status` and `version` give as JSON. */
import * as z from "zod/mini";
import { DaemonStatus } from "../../daemon/api.ts";
import { SupervisorStatus } from "../../supervisor/api.ts";

const Refusal = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.optional(z.string()) }),
});

/** With `permissions`: by process. */
export const permissions = z.record(
  z.string(),
  z.array(z.object({ kind: z.string(), value: z.string(), from: z.enum(["set", "machine"]) })),
);

/** Nothing at the end of `watch`, which a program can't. */
export const status = z.optional(z.union([
  z.object({
    /** Null: none runs. */
    supervisor: z.nullable(SupervisorStatus),
    daemon: z.nullable(z.union([DaemonStatus, Refusal])),
    /** As it answered just now; null: nobody is logged in, or everything is down. */
    homeserver: z.nullable(z.object({
      url: z.string(),
      reachable: z.boolean(),
      latency_ms: z.nullable(z.number()),
      version: z.nullable(z.string()),
      message: z.nullable(z.string()),
    })),
    /** What is not well, what waits for an answer, what will be bad soon: the worst first. */
    needs: z.array(z.object({
      kind: z.enum(["bad", "waits", "soon"]),
      subject: z.string(),
      message: z.string(),
      next: z.string(),
    })),
    /** Nothing is bad. */
    well: z.boolean(),
  }),
  permissions,
]));

export const version = z.object({
  version: z.string(),
  deno: z.string(),
  /** Of an installation: the release in use. */
  release: z.optional(z.string()),
  /** Releases that processes here are of, as far as one may look. */
  running: z.optional(z.array(z.string())),
});
