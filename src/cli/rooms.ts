// SPDX-License-Identifier: Apache-2.0

/** Rooms as they must be: made when missing, mended when they drifted, untouched when right. */
import type { PowerLevels } from "../lib/schema/mod.ts";
import { neutraliseLine } from "../lib/terminal/mod.ts";
import { type Content, hasErrcode, type MatrixClient } from "../messaging/mod.ts";
import { CliError } from "./framework/exit.ts";

export interface WantedRoom {
  /** Localpart of the alias. */
  readonly alias: string;
  readonly name: string;
  readonly topic?: string;
  readonly powerLevels: PowerLevels;
  readonly space?: boolean;
}

/**
 * @param me user id of `client`'s account
 * @returns the room's id, and whether anything changed
 * @throws {CliError} `foreign-room`
 */
export async function ensureRoom(
  client: MatrixClient,
  server: string,
  me: string,
  wanted: WantedRoom,
): Promise<{ id: string; changed: boolean }> {
  const alias = `#${wanted.alias}:${server}`;
  const known = await client.resolveAlias(alias);
  if (known === null) {
    const id = await client.createRoom({
      name: wanted.name,
      ...(wanted.topic === undefined ? {} : { topic: wanted.topic }),
      room_alias_name: wanted.alias,
      preset: "private_chat",
      visibility: "private",
      room_version: "11",
      ...(wanted.space ? { creation_content: { type: "m.space" } } : {}),
      initial_state: [
        // A newcomer must be able to read what was decided before it came.
        { type: "m.room.history_visibility", content: { history_visibility: "shared" } },
        { type: "m.room.guest_access", content: { guest_access: "forbidden" } },
      ],
      power_level_content_override: wanted.powerLevels,
    });
    return { id, changed: true };
  }
  await refuseForeign(client, known, alias, me);
  const present = await client.getState(known, "m.room.power_levels") ?? {};
  const levels = mendedLevels(present, wanted.powerLevels);
  const changed = await client.putState(known, "m.room.power_levels", "", levels) !== null;
  return { id: known, changed };
}

/** Servers add fields of their own (`historical`), and another machine of the fleet has its level here. */
export function mendedLevels(present: Content, wanted: PowerLevels): Content {
  return {
    ...present,
    ...wanted,
    users: { ...present["users"] as Record<string, number>, ...wanted.users },
  };
}

/**
 * Anybody with an account may take an alias before we do. In a room that somebody else made they decide
 * who reads what an agent says, and whom it obeys.
 * @throws {CliError} `foreign-room`
 */
export async function refuseForeign(
  client: MatrixClient,
  room: string,
  alias: string,
  me: string,
): Promise<void> {
  let creator: string | undefined;
  try {
    creator = (await client.roomState(room)).find(({ type }) => type === "m.room.create")?.sender;
  } catch (thrown) {
    if (!hasErrcode(thrown, "M_FORBIDDEN")) throw thrown;
  }
  if (creator === me) return;
  throw new CliError(
    "foreign-room",
    `Cannot use the room "${alias}": it was made by ${neutraliseLine(creator ?? "somebody else")}`,
    { hint: "have the homeserver's administrator remove that alias, or choose another name" },
  );
}

/** Makes `room` a child of `space`. @returns whether it was not one yet */
export async function ensureChild(
  client: MatrixClient,
  server: string,
  space: string,
  room: string,
): Promise<boolean> {
  return await client.putState(space, "m.space.child", room, { via: [server] }) !== null;
}

/** Invites a user and joins as it, where it is not a member yet. @returns whether it joined now */
export async function ensureMember(
  host: MatrixClient,
  room: string,
  user: string,
  guest: MatrixClient | null,
): Promise<boolean> {
  const member = await host.getState(room, "m.room.member", user);
  if (member?.["membership"] === "join") return false;
  if (member?.["membership"] !== "invite") {
    try {
      await host.invite(room, user);
    } catch (thrown) {
      // Joined between the look and the invitation.
      if (!hasErrcode(thrown, "M_FORBIDDEN")) throw thrown;
    }
  }
  if (guest !== null) await guest.join(room);
  return true;
}
