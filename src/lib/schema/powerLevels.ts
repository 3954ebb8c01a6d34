// SPDX-License-Identifier: Apache-2.0

/**
 * Content of `m.room.power_levels` for each kind of room. Every room: state is 100 unless named here,
 * so a new event type is closed until someone opens it; the reference system's open config and
 * workspace rooms (W-3) let any member write its own authorization.
 *
 * Power levels say who may *send*. They don't say for whom: in rooms where several machines write, each
 * reader still checks that the sender is the subject of the state key (W-4).
 */
import { EventType } from "./events.ts";
import { AUDIT } from "./notices.ts";

/** Matrix room versions 11 and before take integers only. */
export interface PowerLevels {
  readonly users: Record<string, number>;
  readonly users_default: number;
  readonly events: Record<string, number>;
  readonly events_default: number;
  readonly state_default: number;
  readonly invite: number;
  readonly kick: number;
  readonly ban: number;
  readonly redact: number;
  readonly notifications: { readonly room: number };
}

/** Power levels of people and machines. */
export const Power = { member: 0, machine: 50, admin: 100 } as const;

/** Named although `state_default` covers them, so that a later, softer default can't open them. */
const GUARDED = [
  "m.room.avatar",
  "m.room.canonical_alias",
  "m.room.encryption",
  "m.room.history_visibility",
  "m.room.join_rules",
  "m.room.name",
  "m.room.power_levels",
  "m.room.server_acl",
  "m.room.tombstone",
  "m.room.topic",
  "m.space.child",
  EventType.assignment,
  EventType.authorization,
  EventType.bureauVersion,
  EventType.credentialRevocation,
  EventType.credentials,
  EventType.devTeam,
  EventType.environmentBuild,
  EventType.fleetCache,
  EventType.fleetConfig,
  EventType.fleetService,
  EventType.machineCordon,
  EventType.machineDefinition,
  EventType.machineDrain,
  EventType.project,
  EventType.provenancePolicy,
  EventType.provenanceRoots,
  EventType.serviceBinding,
  EventType.template,
  EventType.temporalGrant,
] as const;

interface Shape {
  /** Users above 0. */
  readonly users: Record<string, number>;
  /** Event types, state or not, that may be sent below 100, and from which level. */
  readonly open?: Record<string, number>;
  /** Level for messages of no named type. */
  readonly messages?: number;
  readonly invite?: number;
}

function levels(shape: Shape): PowerLevels {
  const guarded = Object.fromEntries(GUARDED.map((type) => [type, Power.admin]));
  return {
    users: shape.users,
    users_default: Power.member,
    // Guards last: no caller opens one of them by naming it.
    events: { ...shape.open, ...guarded },
    events_default: shape.messages ?? Power.admin,
    state_default: Power.admin,
    invite: shape.invite ?? Power.admin,
    kick: Power.admin,
    ban: Power.admin,
    redact: Power.admin,
    notifications: { room: Power.admin },
  };
}

function at(level: number, ids: readonly string[]): Record<string, number> {
  return Object.fromEntries(ids.map((id) => [id, level]));
}

/** The namespace's space, and any room that only admins write in. */
export function spacePowerLevels(admins: readonly string[]): PowerLevels {
  return levels({ users: at(Power.admin, admins) });
}

/**
 * A machine's config room: what it shall run, and its answer. Agents are never members.
 * @param machine user id of the one machine
 */
export function configPowerLevels(admins: readonly string[], machine: string): PowerLevels {
  return levels({
    users: { [machine]: Power.machine, ...at(Power.admin, admins) },
    open: {
      [EventType.principalStatus]: Power.machine,
      "m.room.message": Power.machine,
      [AUDIT]: Power.machine,
    },
  });
}

/** Templates: what may run. Admins write, machines read. */
export function templatePowerLevels(admins: readonly string[]): PowerLevels {
  return levels({ users: at(Power.admin, admins) });
}

/** The fleet's room: its configuration. */
export function fleetPowerLevels(admins: readonly string[]): PowerLevels {
  return levels({ users: at(Power.admin, admins) });
}

/**
 * The fleet's machine room: keys and status. Only machines that an admin listed write, members don't;
 * a reader takes a machine's key only from that machine or an admin.
 */
export function machinePowerLevels(
  admins: readonly string[],
  machines: readonly string[],
): PowerLevels {
  return levels({
    users: { ...at(Power.machine, machines), ...at(Power.admin, admins) },
    open: {
      [EventType.machineKey]: Power.machine,
      [EventType.machineInfo]: Power.machine,
      [EventType.machineStatus]: Power.machine,
    },
  });
}

/** The fleet's service room: machines announce services; see `machinePowerLevels` for who is believed. */
export function servicePowerLevels(
  admins: readonly string[],
  machines: readonly string[],
): PowerLevels {
  return levels({
    users: { ...at(Power.machine, machines), ...at(Power.admin, admins) },
    open: { [EventType.service]: Power.machine },
  });
}

/** The namespace's system room: machines publish their token signing keys. */
export function systemPowerLevels(
  admins: readonly string[],
  machines: readonly string[] = [],
): PowerLevels {
  return levels({
    users: { ...at(Power.machine, machines), ...at(Power.admin, admins) },
    open: { [EventType.tokenSigningKey]: Power.machine },
  });
}

/**
 * A room where people and agents work together: everybody speaks, machines keep the workspace's state,
 * nobody below admin touches rights.
 */
export function workspacePowerLevels(
  admins: readonly string[],
  machines: readonly string[],
): PowerLevels {
  return levels({
    users: { ...at(Power.machine, machines), ...at(Power.admin, admins) },
    open: {
      [EventType.workspace]: Power.machine,
      [EventType.worktree]: Power.machine,
      [EventType.layout]: Power.machine,
    },
    messages: Power.member,
    invite: Power.machine,
  });
}

/**
 * One agent's own room: it speaks, and writes exactly the state types named.
 * @param stateTypes for example `m.bureau.report`; one of the guarded types stays closed
 */
export function agentPowerLevels(
  admins: readonly string[],
  stateTypes: readonly string[],
): PowerLevels {
  return levels({
    users: at(Power.admin, admins),
    open: Object.fromEntries(stateTypes.map((type) => [type, Power.member])),
    messages: Power.member,
  });
}
