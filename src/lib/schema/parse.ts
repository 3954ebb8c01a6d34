// SPDX-License-Identifier: Apache-2.0
import type * as z from "zod/mini";
import { AgentMetrics, AgentSession } from "./agent_session.ts";
import { BureauVersion } from "./bureau_version.ts";
import { BureauError } from "../errors.ts";
import {
  Assignment,
  AuthorizationPolicy,
  Credentials,
  EventType,
  PrincipalStatus,
  Template,
} from "./events.ts";
import {
  CredentialRevocation,
  MachineCordon,
  MachineInfo,
  MachineKey,
  MachineStatus,
  Service,
  ServiceBinding,
  TemporalGrant,
  TokenSigningKey,
} from "./fleet.ts";
import {
  EnvironmentBuild,
  FleetAlert,
  FleetCache,
  FleetConfig,
  FleetService,
  HaLease,
  MachineDefinition,
  ProvenancePolicy,
  ProvenanceRoots,
  ServiceStatus,
  WebrtcSignal,
} from "./fleet_room.ts";
import {
  DevTeam,
  DrainStatus,
  Layout,
  MachineDrain,
  Project,
  Workspace,
  Worktree,
} from "./workspace.ts";

/** Content that doesn't have the shape of its type. */
export class SchemaError extends BureauError {
  override readonly name = "SchemaError";
}

/** By event type. */
export const schemas = {
  [EventType.agentMetrics]: AgentMetrics,
  [EventType.agentSession]: AgentSession,
  [EventType.assignment]: Assignment,
  [EventType.authorization]: AuthorizationPolicy,
  [EventType.bureauVersion]: BureauVersion,
  [EventType.credentials]: Credentials,
  [EventType.credentialRevocation]: CredentialRevocation,
  [EventType.machineCordon]: MachineCordon,
  [EventType.machineInfo]: MachineInfo,
  [EventType.machineKey]: MachineKey,
  [EventType.machineStatus]: MachineStatus,
  [EventType.principalStatus]: PrincipalStatus,
  [EventType.service]: Service,
  [EventType.serviceBinding]: ServiceBinding,
  [EventType.template]: Template,
  [EventType.temporalGrant]: TemporalGrant,
  [EventType.tokenSigningKey]: TokenSigningKey,
  [EventType.fleetConfig]: FleetConfig,
  [EventType.project]: Project,
  [EventType.workspace]: Workspace,
  [EventType.worktree]: Worktree,
  [EventType.devTeam]: DevTeam,
  [EventType.layout]: Layout,
  [EventType.machineDrain]: MachineDrain,
  [EventType.drainStatus]: DrainStatus,
  [EventType.fleetService]: FleetService,
  [EventType.machineDefinition]: MachineDefinition,
  [EventType.haLease]: HaLease,
  [EventType.serviceStatus]: ServiceStatus,
  [EventType.fleetAlert]: FleetAlert,
  [EventType.fleetCache]: FleetCache,
  [EventType.environmentBuild]: EnvironmentBuild,
  [EventType.provenanceRoots]: ProvenanceRoots,
  [EventType.provenancePolicy]: ProvenancePolicy,
  [EventType.webrtcOffer]: WebrtcSignal,
  [EventType.webrtcAnswer]: WebrtcSignal,
} as const;

export type KnownEventType = keyof typeof schemas;

/** Whether `parseEvent` can read it. */
export function isKnownType(type: string): type is KnownEventType {
  return Object.hasOwn(schemas, type);
}

export type ContentOf<T extends KnownEventType> = z.infer<(typeof schemas)[T]>;

/**
 * Reads an event's content. Fields that the schema doesn't know are dropped.
 * @returns null when the state was cleared (no fields at all)
 * @throws {SchemaError} `newer` for a version this program doesn't know, else `malformed`; it names
 * fields, never their values
 */
export function parseEvent<T extends KnownEventType>(
  type: T,
  content: unknown,
): ContentOf<T> | null {
  if (typeof content === "object" && content !== null && Object.keys(content).length === 0) {
    // An empty template or policy is content; an empty assignment is a cleared one.
    if (type !== EventType.template && type !== EventType.authorization) return null;
  }
  const result = schemas[type].safeParse(content);
  if (result.success) return result.data as ContentOf<T>;
  const version = (content as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > 1) {
    throw new SchemaError("newer", `Cannot read "${type}": it has version ${version}`, {
      status: 422,
      hint: "a newer Bureau wrote it: update this one",
    });
  }
  const fields = [...new Set(result.error.issues.map((issue) => issue.path.join(".")))]
    .filter((path) => path !== "");
  throw new SchemaError(
    "malformed",
    `Cannot read "${type}": ${
      fields.length > 0 ? `missing or wrong ${fields.join(", ")}` : "it is not an object"
    }`,
    { status: 422 },
  );
}
