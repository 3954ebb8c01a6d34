// SPDX-License-Identifier: Apache-2.0

/** The dev-box supervisor's socket (`<run>/up/up.sock`): what runs, and how to stop it. */
import * as z from "zod/mini";
import { defineApi } from "../lib/http/api.ts";

export const SupervisedProcess = z.object({
  name: z.string(),
  /** Of the process itself, or null while it is not running. */
  pid: z.nullable(z.number()),
  state: z.enum(["starting", "running", "restarting", "stopped", "failed"]),
  restarts: z.number(),
  started_at: z.nullable(z.number()),
  /** Why it last ended or could not start. */
  message: z.nullable(z.string()),
});
export type SupervisedProcess = z.infer<typeof SupervisedProcess>;

/** What the processes are started from. */
export const ReleaseStatus = z.object({
  /** Digest; null: the build that `up` brought. */
  current: z.nullable(z.string()),
  previous: z.nullable(z.string()),
  /** The process that is being replaced just now. */
  updating: z.nullable(z.object({ to: z.string(), step: z.string() })),
  /** Tried here, and failed: not tried again by itself. */
  bad: z.array(z.object({ digest: z.string(), why: z.string(), at: z.number() })),
  /** What came of the last upgrade. */
  outcome: z.nullable(
    z.object({ to: z.string(), ok: z.boolean(), message: z.string(), at: z.number() }),
  ),
  /** What a person should know of the build that is running. */
  note: z.nullable(z.string()),
});
export type ReleaseStatus = z.infer<typeof ReleaseStatus>;

export const UpgradeRequest = z.object({
  /** Digest of one in `<state>/releases`; null: the build of the checkout that `up` was started from. */
  release: z.nullable(z.string()),
  /** Though it failed here before. */
  again: z.boolean(),
  /** How long everything must stay well before the supervisor itself is replaced. */
  settle_s: z.number(),
  /** How long after its replacement a process may take until everything is well. */
  deadline_s: z.number(),
});
export type UpgradeRequest = z.infer<typeof UpgradeRequest>;

export const SupervisorStatus = z.object({
  /** Of the supervisor. */
  pid: z.number(),
  started_at: z.number(),
  /** `starting` until everything that `up` promised is there. */
  state: z.enum(["starting", "ready", "failed", "stopping"]),
  message: z.nullable(z.string()),
  hint: z.nullable(z.string()),
  homeserver_url: z.nullable(z.string()),
  state_dir: z.string(),
  run_dir: z.string(),
  /** Localpart of the example agent, when there is one. */
  agent: z.nullable(z.string()),
  processes: z.array(SupervisedProcess),
  /** Absent while it starts. */
  release: z.optional(ReleaseStatus),
});
export type SupervisorStatus = z.infer<typeof SupervisorStatus>;

export const supervisorApi = defineApi({
  title: "Bureau supervisor",
  version: "1",
  routes: {
    status: {
      method: "GET",
      path: "/v1/status",
      summary: "What runs",
      response: SupervisorStatus,
    },
    upgrade: {
      method: "POST",
      path: "/v1/upgrade",
      summary:
        "Replace every process by that of another release, one by one, each proven; agents go on. Answers when it has begun; `status` tells the rest. 409 `release-bad`, `upgrading`",
      request: UpgradeRequest,
      response: z.object({
        to: z.string(),
        from: z.nullable(z.string()),
        /** False: it runs already. */
        begun: z.boolean(),
      }),
    },
    down: {
      method: "POST",
      path: "/v1/down",
      summary: "Stop every agent and process, then the supervisor itself; answers at once",
      response: z.object({ stopping: z.boolean() }),
    },
  },
});
