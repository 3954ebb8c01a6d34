// SPDX-License-Identifier: Apache-2.0

/** One good event of each type with whoever must have sent it: for tests that go through all of them. */
import { EventType } from "../events.ts";
import type { KnownEventType } from "../parse.ts";

export const OPERATOR = "@operator:s";
export const MACHINE = "@bureau/fleet/dev/machine/m:s";
export const SUBJECT = "@bureau/fleet/dev/agent/a:s";
const KEEPER = "@bureau/fleet/dev/service/keeper:s";
export const STRANGER = "@bureau/fleet/dev/agent/stranger:s";

export interface Example {
  readonly key: string;
  readonly content: Readonly<Record<string, unknown>>;
  readonly speaker: string;
}

const AT = "2026-01-01T00:00:00Z";
const machine = MACHINE.slice(1);
const subject = SUBJECT.slice(1);
const of = (key: string, speaker: string, content: Record<string, unknown>): Example => ({
  key,
  content,
  speaker,
});

export const EXAMPLES: Readonly<Record<KnownEventType, Example>> = {
  [EventType.agentSession]: of(subject, KEEPER, {
    version: 1,
    service: KEEPER,
    agent: SUBJECT,
    active: { session_id: "s", program: "native", started_at: 1, ended_at: null },
    latest: null,
    context_tip: null,
  }),
  [EventType.agentMetrics]: of(subject, KEEPER, {
    version: 1,
    service: KEEPER,
    agent: SUBJECT,
    sessions: 1,
    turns: 1,
    tool_calls: 0,
    tool_errors: 0,
    errors: 0,
    input_tokens: 1,
    output_tokens: 1,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
    cost_microusd: 1,
    working_ms: 1,
  }),
  [EventType.assignment]: of(subject, OPERATOR, {
    version: 1,
    principal: SUBJECT,
    machine: MACHINE,
    template: "bureau/template:agent",
    template_digest: "0".repeat(64),
    desired: "running",
    issued_by: OPERATOR,
    issued_at: 1,
    signature: { key_id: "k", value: "v" },
  }),
  [EventType.credentials]: of(subject, OPERATOR, {
    version: 1,
    principal: SUBJECT,
    encrypted_for: [MACHINE],
    keys: [],
    ciphertext: "",
    provisioned_by: OPERATOR,
    provisioned_at: AT,
  }),
  [EventType.principalStatus]: of(subject, MACHINE, {
    principal: SUBJECT,
    phase: "running",
    since: 1,
    restarts: 0,
  }),
  [EventType.authorization]: of(subject, OPERATOR, { denials: [{ actions: ["**"] }] }),
  [EventType.template]: of("agent", OPERATOR, { description: "it", command: ["/bin/sh"] }),
  [EventType.machineKey]: of(machine, MACHINE, { algorithm: "age-x25519", public_key: "age1x" }),
  [EventType.machineInfo]: of(machine, MACHINE, {
    principal: MACHINE,
    hostname: "m",
    kernel_version: "6.1",
    cpu: { model: "x", sockets: 1, cores_per_socket: 2, threads_per_core: 1 },
    memory_total_mb: 1024,
    gpus: [{ vendor: "amd", pci_slot: "0000:01:00.0", driver: "amdgpu", vram_total_bytes: 1 }],
    labels: {},
    daemon_version: "0.1.0",
  }),
  [EventType.machineStatus]: of(machine, MACHINE, {
    principal: MACHINE,
    cpu_percent: 3,
    memory_used_mb: 5,
    sandboxes: { running: 1, idle: 0 },
    uptime_seconds: 9,
  }),
  [EventType.machineCordon]: of(machine, OPERATOR, { machine: MACHINE, by: OPERATOR, since: 1 }),
  [EventType.bureauVersion]: of(machine, OPERATOR, {
    version: 1,
    machine: MACHINE,
    release: "0".repeat(64),
    issued_by: OPERATOR,
    issued_at: 1,
    signature: { key_id: "0000000000000000", value: "x" },
  }),
  [EventType.tokenSigningKey]: of(machine, MACHINE, {
    public_key: "0a".repeat(32),
    machine: MACHINE,
  }),
  [EventType.service]: of(subject, MACHINE, { principal: SUBJECT, machine: MACHINE }),
  [EventType.serviceBinding]: of("stt", OPERATOR, { principal: SUBJECT }),
  [EventType.temporalGrant]: of("t1", OPERATOR, {
    grant: { actions: ["matrix/read"], expires_at: AT },
    principal: SUBJECT,
  }),
  [EventType.credentialRevocation]: of(machine, OPERATOR, {
    machine: "m",
    machine_user_id: MACHINE,
    principals: [],
    credential_keys: [],
    initiated_by: OPERATOR,
    initiated_at: AT,
    account_deactivated: true,
  }),
  [EventType.fleetConfig]: of("controller", OPERATOR, { heartbeat_interval_seconds: 30 }),
  [EventType.project]: of("bureau", OPERATOR, { repository: "https://example.org/bureau.git" }),
  [EventType.workspace]: of("", MACHINE, { status: "active", project: "bureau", machine: MACHINE }),
  [EventType.worktree]: of("feature/x", MACHINE, { status: "active", machine: MACHINE }),
  [EventType.devTeam]: of("", OPERATOR, { room: "#bureau/dev:s" }),
  [EventType.layout]: of("agent/a", MACHINE, {
    windows: [{ name: "main", panes: [{ observe: "agent/a" }, { split: "vertical", size: 30 }] }],
  }),
  [EventType.machineDrain]: of("", OPERATOR, { reservation_holder: OPERATOR, requested_at: AT }),
  [EventType.drainStatus]: of(machine, MACHINE, { acknowledged: true, in_flight: 0 }),
  [EventType.fleetService]: of(subject, OPERATOR, {
    template: "bureau/template:service",
    replicas: { min: 1 },
    failover: "migrate",
  }),
  [EventType.machineDefinition]: of("pool", OPERATOR, {
    provider: "local",
    scaling: { min_instances: 0, max_instances: 2 },
  }),
  [EventType.haLease]: of(subject, MACHINE, {
    holder: MACHINE,
    service: SUBJECT,
    acquired_at: AT,
    expires_at: AT,
  }),
  [EventType.serviceStatus]: of(subject, MACHINE, { machine: MACHINE, healthy: true }),
  [EventType.fleetAlert]: of("failover/a", OPERATOR, {
    alert_type: "failover",
    fleet: "bureau/fleet/dev",
    message: "moved",
  }),
  [EventType.fleetCache]: of("", OPERATOR, { url: "https://cache.example.org", public_keys: [] }),
  [EventType.environmentBuild]: of("agent", OPERATOR, {
    profile: "agent",
    flake_ref: "github:x/y",
    system: "x86_64-linux",
    store_path: "/nix/store/x",
    machine: MACHINE,
    timestamp: AT,
  }),
  [EventType.provenanceRoots]: of("", OPERATOR, {
    roots: { public: { fulcio_root_pem: "x", rekor_public_key_pem: "y" } },
  }),
  [EventType.provenancePolicy]: of("", OPERATOR, {
    trusted_identities: [{ name: "ci", roots: "public", issuer: "i", subject_pattern: "**" }],
    enforcement: { templates: "require" },
  }),
  [EventType.webrtcOffer]: of(`${machine}|bureau/fleet/dev/machine/n:s`, MACHINE, {
    sdp: "v=0",
    timestamp: AT,
  }),
  [EventType.webrtcAnswer]: of(`bureau/fleet/dev/machine/n:s|${machine}`, MACHINE, {
    sdp: "v=0",
    timestamp: AT,
  }),
};
