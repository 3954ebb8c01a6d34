// SPDX-License-Identifier: Apache-2.0

/**
 * What machines say of themselves and of services, and what operators bind for a while. Numbers are
 * integers: Matrix's canonical JSON knows no others.
 */
import * as z from "zod/mini";
import { Grant } from "./policy.ts";

const words = z.array(z.string());
/** 32 bytes. */
const hex32 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
/** Absent: the first. A reader refuses a later one instead of guessing. */
const version = z.optional(z.literal(1));

/** `m.bureau.machine_key`, state key = the machine, in the fleet's machine room. */
export const MachineKey = z.object({
  algorithm: z.literal("age-x25519"),
  public_key: z.string(),
  /** Of a machine that joined with a boot file: see `lib/sealed/possession.ts`. Hexadecimal. */
  proof: z.optional(z.string().check(z.regex(/^[0-9a-f]{64}$/))),
});
export type MachineKey = z.infer<typeof MachineKey>;

/** `m.bureau.machine_info`, state key = the machine, in the fleet's machine room: what it is made of. */
export const MachineInfo = z.object({
  version,
  /** User id of the machine. */
  principal: z.string(),
  hostname: z.string(),
  kernel_version: z.string(),
  cpu: z.object({
    model: z.string(),
    sockets: z.int(),
    cores_per_socket: z.int(),
    threads_per_core: z.int(),
    l3_cache_kb: z.optional(z.int()),
  }),
  memory_total_mb: z.int(),
  swap_total_mb: z.optional(z.int()),
  numa_nodes: z.optional(z.int()),
  board_vendor: z.optional(z.string()),
  board_name: z.optional(z.string()),
  gpus: z.array(z.looseObject({ vendor: z.string(), pci_slot: z.string(), driver: z.string() })),
  labels: z.record(z.string(), z.string()),
  daemon_version: z.string(),
});
export type MachineInfo = z.infer<typeof MachineInfo>;

/** `m.bureau.machine_status`, state key = the machine, in the fleet's machine room: how it is now. */
export const MachineStatus = z.object({
  version,
  principal: z.string(),
  cpu_percent: z.int(),
  memory_used_mb: z.int(),
  sandboxes: z.object({ running: z.int(), idle: z.int() }),
  uptime_seconds: z.int(),
  last_activity_at: z.optional(z.string()),
  transport_address: z.optional(z.string()),
  principals: z.optional(z.record(
    z.string(),
    z.object({
      cpu_percent: z.int(),
      memory_mb: z.int(),
      gpu_percent: z.optional(z.int()),
      gpu_memory_mb: z.optional(z.int()),
      status: z.optional(z.enum(["running", "idle", "starting"])),
      /** Whether it needs a person; the daemon's interface tells it at once and with why. */
      attention: z.optional(
        z.enum(["failed", "waiting-approval", "waiting-input", "working", "idle"]),
      ),
    }),
  )),
});
export type MachineStatus = z.infer<typeof MachineStatus>;

/** `m.bureau.machine_cordon`, state key = the machine, in its config room: nothing new is assigned to it. */
export const MachineCordon = z.object({
  version,
  machine: z.string(),
  reason: z.optional(z.string()),
  by: z.string(),
  /** Milliseconds since the epoch. */
  since: z.int(),
  /** Principals that a drain stopped and an uncordon starts again. */
  stopped: z.optional(words),
});
export type MachineCordon = z.infer<typeof MachineCordon>;

/** `m.bureau.token_signing_key`, state key = the machine, in the namespace's system room. */
export const TokenSigningKey = z.object({
  version,
  /** Hexadecimal, 32 bytes of Ed25519. */
  public_key: hex32,
  machine: z.string(),
  /** Keys beside it: the next one before it signs, the last one while tokens of it may live. */
  others: z.optional(z.array(z.object({
    public_key: hex32,
    /** Not after this, ms since the epoch. */
    until: z.optional(z.int()),
  }))),
  /** Tokens that no longer count: those of a user issued up to then (ms since the epoch). Short-lived. */
  revoked: z.optional(z.array(z.object({ subject: z.string(), until: z.int() }))),
  /** Where other machines reach its daemon; absent: nowhere. */
  peer: z.optional(z.object({
    /** `host:port`, in the order in which they are tried. */
    addresses: words,
    /** PEM: of the authority that signed its certificate, and signs no other. */
    certificate: z.string(),
  })),
});
export type TokenSigningKey = z.infer<typeof TokenSigningKey>;

/**
 * `m.bureau.service`, state key = the service, in the fleet's service room, by the machine that it runs on.
 * An empty `principal` says that there is none any more.
 */
export const Service = z.object({
  version,
  principal: z.string(),
  machine: z.string(),
  capabilities: z.optional(words),
  /** Name → socket's file name. */
  endpoints: z.optional(z.record(z.string(), z.string())),
  description: z.optional(z.string()),
  metadata: z.optional(z.record(z.string(), z.unknown())),
});
export type Service = z.infer<typeof Service>;

/** `m.bureau.service_binding`, state key = a role: which service fills it here. */
export const ServiceBinding = z.object({ version, principal: z.string() });
export type ServiceBinding = z.infer<typeof ServiceBinding>;

/** `m.bureau.temporal_grant`, state key = the grant's id: rights that end. */
export const TemporalGrant = z.object({ version, grant: Grant, principal: z.string() });
export type TemporalGrant = z.infer<typeof TemporalGrant>;

/** `m.bureau.credential_revocation`, state key = the machine, in the fleet's machine room. */
export const CredentialRevocation = z.object({
  version,
  machine: z.string(),
  machine_user_id: z.string(),
  principals: words,
  credential_keys: words,
  initiated_by: z.string(),
  initiated_at: z.string(),
  reason: z.optional(z.string()),
  account_deactivated: z.boolean(),
});
export type CredentialRevocation = z.infer<typeof CredentialRevocation>;
