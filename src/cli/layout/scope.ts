// SPDX-License-Identifier: Apache-2.0

/** Of what a layout is: a room and who is in it, a machine and what it runs, or everything. */
import { canonicalJson, sha256Hex } from "../../lib/canonical/mod.ts";
import {
  type Layout,
  machinesLayout,
  type Member,
  membersLayout,
  validateLayout,
} from "../../lib/layout/mod.ts";
import { parseEntity } from "../../lib/ref/mod.ts";
import { EventType, parseEvent, SchemaError } from "../../lib/schema/mod.ts";
import { type MatrixClient, maySpeakFor } from "../../messaging/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { type Machine, machineOf, readFleet } from "../machine/fleet.ts";
import { type OperatorSession, roomOf } from "../session.ts";

export interface Scope {
  readonly kind: "room" | "machine" | "all";
  /** Whose state the layout is, with an empty key. */
  readonly room: string;
  /** As a person may call it. */
  readonly name: string;
  /** Of `kind` machine: its full localpart. */
  readonly machine: string | null;
}

/** @param room as a person gave it; undefined: none @throws {CliError} `usage`, `no-such-room` */
export async function scopeOf(
  call: Invocation,
  client: MatrixClient,
  session: OperatorSession,
  room: string | undefined,
): Promise<Scope> {
  const { machine, all } = call.flags;
  const given = [room !== undefined, machine !== undefined, all === true].filter(Boolean).length;
  if (given > 1) {
    throw new CliError("usage", "Cannot use more than one of a room, --machine and --all");
  }
  if (room !== undefined) {
    const id = await roomOf(client, session, room);
    return { kind: "room", room: id, name: lastWord(room), machine: null };
  }
  if (all === true) {
    const id = await roomOf(client, session, `#${session.fleet}`);
    return { kind: "all", room: id, name: "all", machine: null };
  }
  const localpart = machine === undefined ? session.machine : machineOf(session, String(machine));
  const id = await roomOf(client, session, `#${localpart}`);
  return { kind: "machine", room: id, name: lastWord(localpart), machine: localpart };
}

/** Of a room's alias or a machine's name, what may be a window's name. */
function lastWord(text: string): string {
  const word = text.replace(/^[#@!]/, "").replace(/:.*$/s, "").split("/").at(-1)!;
  const clean = word.replace(/[^A-Za-z0-9._=-]/g, "");
  return clean === "" ? "room" : clean.slice(0, 40);
}

export interface Scene {
  readonly members: readonly Member[];
  /** What stands in the room; null: nothing that is used. */
  readonly stored: Layout | null;
  /** Why what stands in the room is not used; null: it is, or there is none. */
  readonly problem: string | null;
  /** What is shown: what is stored, else all members. */
  readonly layout: Layout;
  /** Of what stands in the room, used or not. */
  readonly digest: string;
}

export async function readScene(
  client: MatrixClient,
  session: OperatorSession,
  scope: Scope,
): Promise<Scene> {
  const [fleet, { stored, problem, digest }] = await Promise.all([
    readFleet(client, session),
    readStored(client, session, scope.room),
  ]);
  const members = await membersOf(client, scope, fleet);
  const layout = stored ??
    (scope.kind === "all" ? machinesLayout(members) : membersLayout(scope.name));
  return { members, stored, problem, layout, digest };
}

async function membersOf(
  client: MatrixClient,
  scope: Scope,
  fleet: readonly Machine[],
): Promise<Member[]> {
  const inRoom = scope.kind === "room" ? new Set(await client.members(scope.room)) : null;
  return fleet.filter(({ localpart }) => scope.machine === null || localpart === scope.machine)
    .flatMap((machine) =>
      machine.principals
        .filter(({ principal }) => inRoom === null || inRoom.has(principal))
        .map(({ principal, labels }) => ({
          account: parseEntity(principal.slice(1).split(":")[0]!).account,
          machine: machine.name,
          labels,
        }))
    );
}

async function readStored(
  client: MatrixClient,
  session: OperatorSession,
  room: string,
): Promise<Pick<Scene, "stored" | "problem" | "digest">> {
  const state = await client.roomState(room);
  const event = state.find(({ type, state_key: key }) => type === EventType.layout && key === "");
  const digest = await digestOf(event?.content ?? null);
  const nothing = (problem: string | null) => ({ stored: null, problem, digest });
  if (event === undefined || Object.keys(event.content).length === 0) return nothing(null);
  const found = state.find(({ type }) => type === "m.room.power_levels");
  const verdict = maySpeakFor(event.sender, null, {
    type: EventType.layout,
    levels: found && { content: found.content, sender: found.sender, eventId: undefined },
    admins: [session.user_id],
    machine: `@${session.machine}:${session.server_name}`,
  });
  if (!verdict.allowed) return nothing(verdict.why);
  let layout: Layout | null;
  try {
    layout = parseEvent(EventType.layout, event.content);
  } catch (thrown) {
    if (thrown instanceof SchemaError) return nothing(thrown.message);
    throw thrown;
  }
  if (layout === null || layout.windows.length === 0) return nothing(null);
  const [mistake] = validateLayout(layout);
  if (mistake !== undefined) return nothing(`${mistake.field} ${mistake.message}`);
  return { stored: layout, problem: null, digest };
}

export async function digestOf(content: object | null): Promise<string> {
  if (content === null || Object.keys(content).length === 0) return "none";
  return (await sha256Hex(canonicalJson(content))).slice(0, 16);
}

/** @returns the digest of what stands there now */
export async function writeLayout(
  client: MatrixClient,
  scope: Scope,
  layout: Layout,
): Promise<string> {
  // Nothing written down: all members again. State can't be taken away, so it is empty.
  const content = layout.windows.length === 0 ? {} : { ...layout, version: 1 };
  await client.putState(scope.room, EventType.layout, "", content);
  return await digestOf(content);
}
