// SPDX-License-Identifier: Apache-2.0

/** What stands in the fleet's own room, and how its machines find each other. Numbers are integers. */
import * as z from "zod/mini";

const words = z.array(z.string());
const names = z.record(z.string(), z.string());
/** Absent: the first. A reader refuses a later one instead of guessing. */
const version = z.optional(z.literal(1));
const count = z.int().check(z.minimum(0));

/** `m.bureau.fleet_service`, state key = the service: what shall run somewhere in the fleet. */
export const FleetService = z.looseObject({
  version,
  /** Template reference. */
  template: z.string(),
  /** How many shall run. */
  replicas: z.object({
    /** So many at least. */
    min: count,
    /** Absent: no more than the least. */
    max: z.optional(count),
  }),
  /** What each needs, by name. */
  resources: z.optional(z.record(z.string(), z.union([z.int(), z.boolean()]))),
  /** On which machines. */
  placement: z.optional(z.object({
    /** Labels that a machine must have. */
    requires: z.optional(words),
    /** User ids; where there is a choice. */
    preferred_machines: z.optional(words),
    /** User ids; on no others. */
    allowed_machines: z.optional(words),
    /** Services that it must not share a machine with. */
    anti_affinity: z.optional(words),
    /** Services that it must share a machine with. */
    co_locate_with: z.optional(words),
  })),
  /** When its machine is gone: elsewhere, tell people, or nothing. */
  failover: z.enum(["migrate", "alert", "none"]),
  /** `critical`: a lease says who runs it. */
  ha_class: z.optional(z.enum(["", "critical"])),
  /** Rooms that it joins. */
  service_rooms: z.optional(words),
  /** Who may take whose place; more wins. */
  priority: z.optional(z.int()),
});
export type FleetService = z.infer<typeof FleetService>;

/** `m.bureau.machine_definition`, state key = the pool: machines that could be had. */
export const MachineDefinition = z.looseObject({
  version,
  /** Who has such machines. */
  provider: z.enum(["local", "gcloud", "aws", "azure", "manual"]),
  /** That its machines get. */
  labels: z.optional(names),
  /** What each has, by name. */
  resources: z.optional(z.record(z.string(), z.union([z.int(), z.string()]))),
  /** Its `credential_name` names a credential; a value never stands here. */
  provisioning: z.optional(z.record(z.string(), z.union([z.int(), z.string()]))),
  /** How many may be had. */
  scaling: z.optional(z.object({
    /** So many at least. */
    min_instances: count,
    /** So many at most. */
    max_instances: count,
  })),
  /** When one is given back, by name. */
  lifecycle: z.optional(z.record(z.string(), z.union([z.int(), z.string()]))),
});
export type MachineDefinition = z.infer<typeof MachineDefinition>;

/** `m.bureau.fleet_config`, state key = the controller. */
export const FleetConfig = z.object({
  version,
  /** Whether services are moved, or people are told only. */
  rebalance_policy: z.optional(z.enum(["auto", "alert"])),
  /** Percent of a machine's processors. */
  pressure_threshold_cpu: z.optional(count),
  /** Percent of a machine's memory. */
  pressure_threshold_memory: z.optional(count),
  /** Percent of a machine's graphics processors. */
  pressure_threshold_gpu: z.optional(count),
  /** Above a threshold for so long is pressure. */
  pressure_sustained_seconds: z.optional(count),
  /** Between two moves of a service. */
  rebalance_cooldown_seconds: z.optional(count),
  /** Between two words of a machine. */
  heartbeat_interval_seconds: z.optional(count),
  /** Whose services may take its place. */
  preemptible_by: z.optional(words),
});
export type FleetConfig = z.infer<typeof FleetConfig>;

/** `m.bureau.ha_lease`, state key = the service: who runs it until when. */
export const HaLease = z.object({
  version,
  /** User id of the machine; only its own word counts. */
  holder: z.string(),
  /** User id of the service. */
  service: z.string(),
  /** RFC 3339. */
  acquired_at: z.string(),
  /** RFC 3339; after that anybody may take it. */
  expires_at: z.string(),
});
export type HaLease = z.infer<typeof HaLease>;

/** `m.bureau.service_status`, state key = the service, by its machine. */
export const ServiceStatus = z.object({
  version,
  /** User id of the machine. */
  machine: z.string(),
  /** Whether it works. */
  healthy: z.boolean(),
  /** Requests that wait. */
  queue_depth: z.optional(count),
  /** Of its answers. */
  avg_latency_ms: z.optional(count),
  /** That it answers. */
  requests_per_minute: z.optional(count),
  /** Of its answers. */
  error_rate_percent: z.optional(count),
});
export type ServiceStatus = z.infer<typeof ServiceStatus>;

/** `m.bureau.fleet_alert`, state key = `type[/service][/machine]`. */
export const FleetAlert = z.object({
  version,
  /** What happened, or is asked for. */
  alert_type: z.enum([
    "failover",
    "rebalance_proposal",
    "capacity_request",
    "preemption_request",
    "preemption_ack",
    "rollback",
  ]),
  /** Localpart of the fleet. */
  fleet: z.string(),
  /** User id of the service that it is about. */
  service: z.optional(z.string()),
  /** User id of the machine that it is about. */
  machine: z.optional(z.string()),
  /** For people. */
  message: z.string(),
  /** What the controller would do. */
  proposed_actions: z.optional(z.array(z.object({
    /** What to do. */
    action: z.enum(["place", "remove", "move", "provision"]),
    /** User id of the service. */
    service: z.optional(z.string()),
    /** User id of the machine that it runs on. */
    from_machine: z.optional(z.string()),
    /** User id of the machine that it would run on. */
    to_machine: z.optional(z.string()),
    /** How good that would be; the highest is first. */
    score: z.optional(z.int()),
  }))),
});
export type FleetAlert = z.infer<typeof FleetAlert>;

/** `m.bureau.fleet_cache`: a cache of built environments, and whose signatures on them count. */
export const FleetCache = z.object({
  version,
  /** Where it is. */
  url: z.string(),
  /** Its name, for people. */
  name: z.optional(z.string()),
  /** Whose signatures count, as Nix writes them. */
  public_keys: words,
  /** Template that makes environments. */
  compose_template: z.optional(z.string()),
  /** As Nix names it; absent: the machine's own. */
  default_system: z.optional(z.string()),
});
export type FleetCache = z.infer<typeof FleetCache>;

/** `m.bureau.environment_build`, state key = the profile. */
export const EnvironmentBuild = z.object({
  version,
  /** Name of the environment. */
  profile: z.string(),
  /** Nix flake that it was built from. */
  flake_ref: z.string(),
  /** As Nix names it: `x86_64-linux`. */
  system: z.string(),
  /** What was built. */
  store_path: z.string(),
  /** User id of who built it. */
  machine: z.string(),
  /** Revision that the flake had. */
  resolved_revision: z.optional(z.string()),
  /** RFC 3339. */
  timestamp: z.string(),
});
export type EnvironmentBuild = z.infer<typeof EnvironmentBuild>;

/** `m.bureau.provenance_roots`: whom signatures on what is installed lead back to. */
export const ProvenanceRoots = z.object({
  version,
  /** By name. */
  roots: z.record(
    z.string(),
    z.object({
      /** Of the metadata that they come from. */
      tuf_root_version: z.optional(z.int()),
      /** PEM: who signs certificates of identities. */
      fulcio_root_pem: z.string(),
      /** PEM: who signs the log of signatures. */
      rekor_public_key_pem: z.string(),
    }),
  ),
});
export type ProvenanceRoots = z.infer<typeof ProvenanceRoots>;

/** `m.bureau.provenance_policy`: who may have built what, and what happens where nobody known did. */
export const ProvenancePolicy = z.object({
  version,
  /** Who may have built what is installed. */
  trusted_identities: z.array(z.object({
    /** For people. */
    name: z.string(),
    /** Name of one of `m.bureau.provenance_roots`. */
    roots: z.string(),
    /** Who vouches for the identity (OpenID Connect). */
    issuer: z.string(),
    /** Pattern of whom it vouches for. */
    subject_pattern: z.string(),
    /** Pattern of the workflow that built it. */
    workflow_pattern: z.optional(z.string()),
  })),
  /** By kind of what is installed. */
  enforcement: z.record(z.string(), z.enum(["require", "warn", "log"])),
});
export type ProvenancePolicy = z.infer<typeof ProvenancePolicy>;

/** `m.bureau.webrtc_offer` and `…_answer`, state key = `<offerer>|<target>`, in the fleet's machine room. */
export const WebrtcSignal = z.object({
  version,
  /** Session description (RFC 8866). */
  sdp: z.string(),
  /** RFC 3339. */
  timestamp: z.string(),
});
export type WebrtcSignal = z.infer<typeof WebrtcSignal>;
