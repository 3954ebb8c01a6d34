// SPDX-License-Identifier: Apache-2.0

/** How a machine leaves the fleet: its account, its rights, and what it published. */
import { stateKey } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import {
  type Content,
  hasErrcode,
  type MatrixClient,
  MessagingError,
} from "../../messaging/mod.ts";
import { bureauRooms } from "../bureau_rooms.ts";
import type { OperatorSession } from "../session.ts";
import type { Machine } from "./fleet.ts";

/**
 * Ends the account, with every session of it. Only the homeserver's admin may.
 * @returns null, or why not
 */
export async function deactivateAccount(
  client: MatrixClient,
  user: string,
): Promise<string | null> {
  try {
    await client.request(
      "POST",
      `/_synapse/admin/v1/deactivate/${encodeURIComponent(user)}`,
      { what: `deactivate "${user}"`, body: { erase: false } },
    );
    return null;
  } catch (thrown) {
    if (!(thrown instanceof MessagingError)) throw thrown;
    if (thrown.status !== 403 && thrown.status !== 404 && thrown.status !== 405) throw thrown;
    return thrown.message;
  }
}

/** Out of every room, without a power level in any, and nothing that it said of itself is left standing. */
export async function putOut(
  client: MatrixClient,
  session: OperatorSession,
  machine: Machine,
  why: string,
): Promise<void> {
  const user = machine.user_id;
  const names = { ...session, machine: machine.localpart as OperatorSession["machine"] };
  for (const { alias } of bureauRooms(names, user)) {
    const room = await client.resolveAlias(`#${alias}:${session.server_name}`);
    if (room === null) continue;
    const member = await client.getState(room, "m.room.member", user);
    if (member?.["membership"] === "join" || member?.["membership"] === "invite") {
      await client.kick(room, user, why).catch((thrown) => {
        // Left by itself between the look and this.
        if (!hasErrcode(thrown, "M_FORBIDDEN")) throw thrown;
      });
    }
    await takePower(client, room, user);
    for (const event of await client.roomState(room)) {
      if (!isOwn(event.type, event.state_key, event.content, user)) continue;
      await client.putState(room, event.type, event.state_key, {});
    }
  }
}

const OWN: ReadonlySet<string> = new Set([
  EventType.machineKey,
  EventType.machineInfo,
  EventType.machineStatus,
  EventType.tokenSigningKey,
]);

function isOwn(type: string, key: string, content: Content, user: string): boolean {
  if (Object.keys(content).length === 0) return false;
  if (type === EventType.service) return content["machine"] === user;
  return OWN.has(type) && key === stateKey(user);
}

async function takePower(client: MatrixClient, room: string, user: string): Promise<void> {
  const levels = await client.getState(room, "m.room.power_levels");
  const { [user]: level, ...users } = levels?.["users"] as Record<string, number> ?? {};
  if (level === undefined) return;
  await client.putState(room, "m.room.power_levels", "", { ...levels, users });
}
