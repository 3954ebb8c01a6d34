// SPDX-License-Identifier: Apache-2.0

/** The fleet as its rooms tell it: which machines there are, what each says of itself, what it shall run. */
import { isLocalpart, isSegment, parseStateKey, stateKey, userId } from "../../lib/ref/mod.ts";
import {
  type Assignment,
  type ContentOf,
  EventType,
  type KnownEventType,
  type MachineCordon,
  type MachineInfo,
  type MachineStatus,
  parseEvent,
  type PrincipalStatus,
  SchemaError,
} from "../../lib/schema/mod.ts";
import {
  hasErrcode,
  type MatrixClient,
  maySpeakFor,
  type StateEvent,
} from "../../messaging/mod.ts";
import { CliError } from "../framework/exit.ts";
import type { OperatorSession } from "../session.ts";

/** A principal of a machine, as its config room says. */
export interface AssignedPrincipal {
  readonly principal: string;
  readonly desired: Assignment["desired"];
  readonly template: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What the machine says of it; null: nothing. */
  readonly phase: PrincipalStatus["phase"] | null;
  readonly since: number | null;
  readonly message: string | null;
}

export interface PublishedKey {
  readonly public_key: string;
  /** By the homeserver's clock. */
  readonly published_at: number | null;
  readonly proof: string | null;
}

export interface Machine {
  /** Last segment. */
  readonly name: string;
  readonly localpart: string;
  readonly user_id: string;
  /** Whether it is the one that this session was made on. */
  readonly here: boolean;
  /** Of its account, in the fleet's machine room. */
  readonly membership: string;
  /** Null: it published none that is believed. */
  readonly key: PublishedKey | null;
  readonly info: MachineInfo | null;
  readonly status: { readonly at: number | null; readonly content: MachineStatus } | null;
  readonly cordon: MachineCordon | null;
  /** When an operator distrusted it. */
  readonly revoked: string | null;
  /** Of its config room; null: there is none that we may read. */
  readonly room: string | null;
  readonly principals: readonly AssignedPrincipal[];
}

/** Full localpart of a machine that a person named: `worker` or the whole. @throws {CliError} `usage` */
export function machineOf(session: OperatorSession, text: string): string {
  const prefix = `${session.fleet}/machine/`;
  const bare = text.startsWith("@") ? text.slice(1).split(":")[0]! : text;
  const localpart = bare.startsWith(prefix) ? bare : `${prefix}${bare}`;
  if (isSegment(localpart.slice(prefix.length)) && isLocalpart(localpart)) return localpart;
  throw new CliError("usage", `Cannot take "${text}" for a machine's name`, {
    hint: `a name has lower-case letters, digits, "_", "=" and "-": worker, or ${prefix}worker`,
  });
}

/** @throws {CliError} `not-set-up` */
export async function machineRoom(
  client: MatrixClient,
  session: OperatorSession,
): Promise<string> {
  const alias = `#${session.fleet}/machine:${session.server_name}`;
  const room = await client.resolveAlias(alias);
  if (room !== null) return room;
  throw new CliError("no-such-room", `Cannot find the fleet's machine room "${alias}"`, {
    status: 404,
    hint: "`bureau matrix setup` makes what is missing",
  });
}

/** Every machine that the fleet's machine room knows, in order of its name. */
export async function readFleet(
  client: MatrixClient,
  session: OperatorSession,
): Promise<Machine[]> {
  const state = await client.roomState(await machineRoom(client, session));
  const prefix = `${session.fleet}/machine/`;
  const names = new Set<string>([session.machine]);
  const add = (user: string) => {
    const [localpart, server] = user.slice(1).split(/:(.*)/s);
    if (server !== session.server_name || !localpart!.startsWith(prefix)) return;
    if (isLocalpart(localpart!) && isSegment(localpart!.slice(prefix.length))) {
      names.add(localpart!);
    }
  };
  for (const event of state) {
    // Whom an operator let in; what somebody writes about a machine of a name of their own is none.
    if (event.type === "m.room.power_levels") {
      Object.keys(event.content["users"] as object ?? {}).forEach(add);
    } else if (event.type === EventType.credentialRevocation) add(`@${event.state_key}`);
  }
  const fleet = await Promise.all(
    [...names].map((localpart) => readMachine(client, session, localpart, state)),
  );
  return fleet.filter((machine) => machine !== null)
    .sort((a, b) => a.name < b.name ? -1 : 1);
}

/** @throws {CliError} `no-such-machine` */
export async function findMachine(
  client: MatrixClient,
  session: OperatorSession,
  text: string,
): Promise<Machine> {
  const localpart = machineOf(session, text);
  const found = (await readFleet(client, session)).find((one) => one.localpart === localpart);
  if (found !== undefined) return found;
  throw new CliError("no-such-machine", `Cannot find the machine "${text}": the fleet has none`, {
    status: 404,
    hint: "`bureau machine list` shows what there is, `bureau machine provision` makes one",
  });
}

async function readMachine(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
  state: readonly StateEvent[],
): Promise<Machine | null> {
  const user = userId(localpart, session.server_name);
  const read = reader(session, state, user);
  const member = state.find(({ type, state_key }) =>
    type === "m.room.member" && state_key === user
  );
  const membership = String(member?.content["membership"] ?? "none");
  const revocation = read(EventType.credentialRevocation, stateKey(user), null);
  const { room, events } = await configRoom(client, session, localpart);
  const levels = state.find(({ type }) => type === "m.room.power_levels");
  const listed = Object.hasOwn(levels?.content["users"] as object ?? {}, user);
  // Decommissioned: what was written of it stays in the rooms' history.
  if (!listed && membership !== "join" && revocation === null) return null;
  const inRoom = reader(session, events, user);
  const key = read(EventType.machineKey, stateKey(user), user);
  const info = read(EventType.machineInfo, stateKey(user), user);
  const status = read(EventType.machineStatus, stateKey(user), user);
  return {
    name: localpart.slice(`${session.fleet}/machine/`.length),
    localpart,
    user_id: user,
    here: localpart === session.machine,
    membership,
    key: key === null ? null : {
      public_key: key.content.public_key,
      published_at: key.at,
      proof: key.content.proof ?? null,
    },
    info: info?.content ?? null,
    status,
    cordon: inRoom(EventType.machineCordon, stateKey(user), null)?.content ?? null,
    revoked: revocation?.content.initiated_at ?? null,
    room,
    principals: principalsOf(session, events, user),
  };
}

async function configRoom(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<{ room: string | null; events: readonly StateEvent[] }> {
  const room = await client.resolveAlias(`#${localpart}:${session.server_name}`);
  if (room === null) return { room, events: [] };
  try {
    const events = await client.roomState(room);
    const creator = events.find(({ type }) => type === "m.room.create")?.sender;
    // Who makes the room decides what stands in it.
    return creator === session.user_id ? { room, events } : { room: null, events: [] };
  } catch (thrown) {
    if (hasErrcode(thrown, "M_FORBIDDEN")) return { room: null, events: [] };
    throw thrown;
  }
}

/** Reads one state event, if it comes from whom it must and has the shape of its type. */
export function reader(
  session: OperatorSession,
  state: readonly StateEvent[],
  machine: string,
) {
  const found = state.find(({ type }) => type === "m.room.power_levels");
  const levels = found && { content: found.content, sender: found.sender, eventId: undefined };
  return <T extends KnownEventType>(
    type: T,
    key: string,
    subject: string | null,
  ): { content: ContentOf<T>; at: number | null } | null => {
    const event = state.find((one) => one.type === type && one.state_key === key);
    if (event === undefined) return null;
    const context = { type, levels, admins: [session.user_id], machine };
    if (!maySpeakFor(event.sender, subject, context).allowed) return null;
    try {
      const content = parseEvent(type, event.content);
      return content === null ? null : { content, at: event.origin_server_ts ?? null };
    } catch (thrown) {
      if (thrown instanceof SchemaError) return null;
      throw thrown;
    }
  };
}

function principalsOf(
  session: OperatorSession,
  events: readonly StateEvent[],
  machine: string,
): AssignedPrincipal[] {
  const read = reader(session, events, machine);
  return events.flatMap(({ type, state_key: key }): AssignedPrincipal[] => {
    if (type !== EventType.assignment) return [];
    const assigned = read(EventType.assignment, key, subjectOf(key))?.content;
    if (assigned === undefined || assigned.desired === "absent") return [];
    const status = read(EventType.principalStatus, key, subjectOf(key))?.content;
    return [{
      principal: assigned.principal,
      desired: assigned.desired,
      template: assigned.template,
      labels: assigned.labels ?? {},
      phase: status?.phase ?? null,
      since: status?.since ?? null,
      message: status?.message ?? null,
    }];
  }).sort((a, b) => a.principal < b.principal ? -1 : 1);
}

function subjectOf(key: string): string | null {
  try {
    const { localpart, server } = parseStateKey(key);
    return userId(localpart, server);
  } catch {
    return null;
  }
}
