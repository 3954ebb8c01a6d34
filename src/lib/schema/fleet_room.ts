// SPDX-License-Identifier: Apache-2.0

/** What stands in the fleet's own room, and how its machines find each other. Numbers are integers. */
import * as z from "zod/mini";

const words = z.array(z.string());
const names = z.record(z.string(), z.string());
const version = z.optional(z.literal(1));
const count = z.int().check(z.minimum(0));

/** `m.bureau.fleet_service`, state key = the service: what shall run somewhere in the fleet. */
export const FleetService = z.looseObject({
  version,
  template: z.string(),
  replicas: z.object({ min: count, max: z.optional(count) }),
  resources: z.optional(z.record(z.string(), z.union([z.int(), z.boolean()]))),
  placement: z.optional(z.object({
    requires: z.optional(words),
    preferred_machines: z.optional(words),
    allowed_machines: z.optional(words),
    anti_affinity: z.optional(words),
    co_locate_with: z.optional(words),
  })),
  failover: z.enum(["migrate", "alert", "none"]),
  ha_class: z.optional(z.enum(["", "critical"])),
  service_rooms: z.optional(words),
  priority: z.optional(z.int()),
});
export type FleetService = z.infer<typeof FleetService>;

/** `m.bureau.machine_definition`, state key = the pool: machines that could be had. */
export const MachineDefinition = z.looseObject({
  version,
  provider: z.enum(["local", "gcloud", "aws", "azure", "manual"]),
  labels: z.optional(names),
  resources: z.optional(z.record(z.string(), z.union([z.int(), z.string()]))),
  /** Its `credential_name` names a credential; a value never stands here. */
  provisioning: z.optional(z.record(z.string(), z.union([z.int(), z.string()]))),
  scaling: z.optional(z.object({ min_instances: count, max_instances: count })),
  lifecycle: z.optional(z.record(z.string(), z.union([z.int(), z.string()]))),
});
export type MachineDefinition = z.infer<typeof MachineDefinition>;

/** `m.bureau.fleet_config`, state key = the controller. */
export const FleetConfig = z.object({
  version,
  rebalance_policy: z.optional(z.enum(["auto", "alert"])),
  pressure_threshold_cpu: z.optional(count),
  pressure_threshold_memory: z.optional(count),
  pressure_threshold_gpu: z.optional(count),
  pressure_sustained_seconds: z.optional(count),
  rebalance_cooldown_seconds: z.optional(count),
  heartbeat_interval_seconds: z.optional(count),
  preemptible_by: z.optional(words),
});
export type FleetConfig = z.infer<typeof FleetConfig>;

/** `m.bureau.ha_lease`, state key = the service: who runs it until when. */
export const HaLease = z.object({
  version,
  /** User id of the machine; only its own word counts. */
  holder: z.string(),
  service: z.string(),
  acquired_at: z.string(),
  expires_at: z.string(),
});
export type HaLease = z.infer<typeof HaLease>;

/** `m.bureau.service_status`, state key = the service, by its machine. */
export const ServiceStatus = z.object({
  version,
  machine: z.string(),
  healthy: z.boolean(),
  queue_depth: z.optional(count),
  avg_latency_ms: z.optional(count),
  requests_per_minute: z.optional(count),
  error_rate_percent: z.optional(count),
});
export type ServiceStatus = z.infer<typeof ServiceStatus>;

/** `m.bureau.fleet_alert`, state key = `type[/service][/machine]`. */
export const FleetAlert = z.object({
  version,
  alert_type: z.enum([
    "failover",
    "rebalance_proposal",
    "capacity_request",
    "preemption_request",
    "preemption_ack",
    "rollback",
  ]),
  fleet: z.string(),
  service: z.optional(z.string()),
  machine: z.optional(z.string()),
  message: z.string(),
  proposed_actions: z.optional(z.array(z.object({
    action: z.enum(["place", "remove", "move", "provision"]),
    service: z.optional(z.string()),
    from_machine: z.optional(z.string()),
    to_machine: z.optional(z.string()),
    score: z.optional(z.int()),
  }))),
});
export type FleetAlert = z.infer<typeof FleetAlert>;

/** `m.bureau.fleet_cache`: a cache of built environments, and whose signatures on them count. */
export const FleetCache = z.object({
  version,
  url: z.string(),
  name: z.optional(z.string()),
  public_keys: words,
  compose_template: z.optional(z.string()),
  default_system: z.optional(z.string()),
});
export type FleetCache = z.infer<typeof FleetCache>;

/** `m.bureau.environment_build`, state key = the profile. */
export const EnvironmentBuild = z.object({
  version,
  profile: z.string(),
  flake_ref: z.string(),
  system: z.string(),
  store_path: z.string(),
  machine: z.string(),
  resolved_revision: z.optional(z.string()),
  timestamp: z.string(),
});
export type EnvironmentBuild = z.infer<typeof EnvironmentBuild>;

/** `m.bureau.provenance_roots`: whom signatures on what is installed lead back to. */
export const ProvenanceRoots = z.object({
  version,
  roots: z.record(
    z.string(),
    z.object({
      tuf_root_version: z.optional(z.int()),
      fulcio_root_pem: z.string(),
      rekor_public_key_pem: z.string(),
    }),
  ),
});
export type ProvenanceRoots = z.infer<typeof ProvenanceRoots>;

/** `m.bureau.provenance_policy`: who may have built what, and what happens where nobody known did. */
export const ProvenancePolicy = z.object({
  version,
  trusted_identities: z.array(z.object({
    name: z.string(),
    roots: z.string(),
    issuer: z.string(),
    subject_pattern: z.string(),
    workflow_pattern: z.optional(z.string()),
  })),
  enforcement: z.record(z.string(), z.enum(["require", "warn", "log"])),
});
export type ProvenancePolicy = z.infer<typeof ProvenancePolicy>;

/** `m.bureau.webrtc_offer` and `…_answer`, state key = `<offerer>|<target>`, in the fleet's machine room. */
export const WebrtcSignal = z.object({ version, sdp: z.string(), timestamp: z.string() });
export type WebrtcSignal = z.infer<typeof WebrtcSignal>;
