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
  /** What the key is for: age. */
  algorithm: z.literal("age-x25519"),
  /** What credentials are sealed to: `age1…`. */
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
  /** As the kernel says it. */
  hostname: z.string(),
  /** As the kernel says it. */
  kernel_version: z.string(),
  /** Its processors. */
  cpu: z.object({
    /** As the kernel names it. */
    model: z.string(),
    /** How many. */
    sockets: z.int(),
    /** How many. */
    cores_per_socket: z.int(),
    /** How many. */
    threads_per_core: z.int(),
    /** KiB, of one socket. */
    l3_cache_kb: z.optional(z.int()),
  }),
  /** MiB. */
  memory_total_mb: z.int(),
  /** MiB. */
  swap_total_mb: z.optional(z.int()),
  /** How many. */
  numa_nodes: z.optional(z.int()),
  /** Who made it. */
  board_vendor: z.optional(z.string()),
  /** What its maker calls it. */
  board_name: z.optional(z.string()),
  /** Its graphics processors. */
  gpus: z.array(z.looseObject({
    /** Who made it. */
    vendor: z.string(),
    /** Where it sits. */
    pci_slot: z.string(),
    /** What drives it. */
    driver: z.string(),
  })),
  /** What an operator says of it. */
  labels: z.record(z.string(), z.string()),
  /** Of Bureau. */
  daemon_version: z.string(),
});
export type MachineInfo = z.infer<typeof MachineInfo>;

/** `m.bureau.machine_status`, state key = the machine, in the fleet's machine room: how it is now. */
export const MachineStatus = z.object({
  version,
  /** User id of the machine. */
  principal: z.string(),
  /** Of all processors together, 0 to 100. */
  cpu_percent: z.int(),
  /** MiB. */
  memory_used_mb: z.int(),
  /** How many there are. */
  sandboxes: z.object({
    /** Those that do something. */
    running: z.int(),
    /** Those that do nothing. */
    idle: z.int(),
  }),
  /** Since the machine's start. */
  uptime_seconds: z.int(),
  /** RFC 3339: when a sandbox did something last. */
  last_activity_at: z.optional(z.string()),
  /** Where other machines reach its daemon: `host:port`. */
  transport_address: z.optional(z.string()),
  /** By localpart. */
  principals: z.optional(z.record(
    z.string(),
    z.object({
      /** Of one processor: 200 is two. */
      cpu_percent: z.int(),
      /** MiB. */
      memory_mb: z.int(),
      /** Of one graphics processor. */
      gpu_percent: z.optional(z.int()),
      /** MiB. */
      gpu_memory_mb: z.optional(z.int()),
      /** Whether it does something. */
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
  /** User id of the machine. */
  machine: z.string(),
  /** For people. */
  reason: z.optional(z.string()),
  /** User id of the operator. */
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
  /** User id of the machine. */
  machine: z.string(),
  /** Keys beside it: the next one before it signs, the last one while tokens of it may live. */
  others: z.optional(z.array(z.object({
    public_key: hex32,
    /** Not after this, ms since the epoch. */
    until: z.optional(z.int()),
  }))),
  /** Tokens that no longer count: those of a user issued up to then (ms since the epoch). Short-lived. */
  revoked: z.optional(z.array(z.object({
    /** User id. */
    subject: z.string(),
    /** Issued up to then, ms since the epoch. */
    until: z.int(),
  }))),
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
  /** User id of the service; empty: there is none any more. */
  principal: z.string(),
  /** User id of the machine that it runs on. */
  machine: z.string(),
  /** What it offers. */
  capabilities: z.optional(words),
  /** Name → socket's file name. */
  endpoints: z.optional(z.record(z.string(), z.string())),
  /** For people. */
  description: z.optional(z.string()),
  /** More, for whoever knows it. */
  metadata: z.optional(z.record(z.string(), z.unknown())),
});
export type Service = z.infer<typeof Service>;

/** `m.bureau.service_binding`, state key = a role, in the room that a principal works in or a machine's config room: which service fills it here. */
export const ServiceBinding = z.object({
  version,
  /** User id of the service; empty: none. */
  principal: z.string(),
});
export type ServiceBinding = z.infer<typeof ServiceBinding>;

/** `m.bureau.temporal_grant`, state key = the grant's id, in the machine's config room: rights that end. */
export const TemporalGrant = z.object({
  version,
  /** What may be done; it ends with its `expires_at`. */
  grant: Grant,
  /** User id of who may. */
  principal: z.string(),
});
export type TemporalGrant = z.infer<typeof TemporalGrant>;

/** `m.bureau.credential_revocation`, state key = the machine, in the fleet's machine room. */
export const CredentialRevocation = z.object({
  version,
  /** Its name in the fleet. */
  machine: z.string(),
  /** User id of the machine whose credentials are revoked. */
  machine_user_id: z.string(),
  /** Whose credentials it held. */
  principals: words,
  /** Which they were: rotate them where they come from. */
  credential_keys: words,
  /** User id of the operator. */
  initiated_by: z.string(),
  /** RFC 3339. */
  initiated_at: z.string(),
  /** For people. */
  reason: z.optional(z.string()),
  /** Whether the machine's account was ended at the homeserver. */
  account_deactivated: z.boolean(),
});
export type CredentialRevocation = z.infer<typeof CredentialRevocation>;
