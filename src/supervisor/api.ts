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
    down: {
      method: "POST",
      path: "/v1/down",
      summary: "Stop every agent and process, then the supervisor itself; answers at once",
      response: z.object({ stopping: z.boolean() }),
    },
  },
});
