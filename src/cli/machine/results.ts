// SPDX-License-Identifier: Apache-2.0

/** What the commands of `machine` give as JSON. */
import * as z from "zod/mini";
import {
  CredentialRevocation,
  MachineCordon,
  MachineInfo,
  MachineStatus,
} from "../../lib/schema/mod.ts";
import { ReleaseStatus, supervisorApi } from "../../supervisor/api.ts";

const words = z.array(z.string());
const failed = z.array(z.object({ principal: z.string(), message: z.string() }));

const Machine = z.object({
  name: z.string(),
  localpart: z.string(),
  user_id: z.string(),
  state: z.string(),
  /** This one. */
  here: z.boolean(),
  membership: z.string(),
  key: z.nullable(z.object({
    public_key: z.string(),
    published_at: z.nullable(z.number()),
    proof: z.nullable(z.string()),
  })),
  key_problem: z.nullable(z.string()),
  info: z.nullable(MachineInfo),
  status: z.nullable(z.object({ at: z.nullable(z.number()), content: MachineStatus })),
  cordon: z.nullable(MachineCordon),
  revoked: z.nullable(z.string()),
  room: z.nullable(z.string()),
  principals: z.array(z.object({
    principal: z.string(),
    desired: z.enum(["running", "stopped", "absent"]),
    template: z.string(),
    labels: z.record(z.string(), z.string()),
    phase: z.nullable(z.string()),
    since: z.nullable(z.number()),
    message: z.nullable(z.string()),
  })),
});
const Left = { machine: z.string(), principals: words, credentials: words };

export const list = z.object({ machines: z.array(Machine) });
export const show = Machine;
export const cordon = z.object({ machine: z.string(), changed: z.boolean() });
export const drain = z.object({
  machine: z.string(),
  stopped: words,
  still_running: words,
  failed,
});
export const uncordon = z.object({
  machine: z.string(),
  changed: z.boolean(),
  started: words,
  failed,
});
export const provision = z.object({
  machine: z.string(),
  boot_file: z.string(),
  expires_at: z.string(),
});
export const decommission = z.object({
  ...Left,
  not_seen_to_stop: words,
  account_deactivated: z.boolean(),
  failed,
});
export const revoke = z.object({ ...CredentialRevocation.shape, failed });
export const upgrade = z.union([
  z.object({ ...supervisorApi.routes.upgrade.response.shape, ok: z.boolean() }),
  z.object({ machine: z.string(), to: z.string(), ok: z.boolean() }),
]);
export const releases = ReleaseStatus;
