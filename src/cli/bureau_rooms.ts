// SPDX-License-Identifier: Apache-2.0

/** The rooms that a Bureau is made of: first boot makes them, `matrix check` compares. */
import {
  configPowerLevels,
  fleetPowerLevels,
  machinePowerLevels,
  servicePowerLevels,
  spacePowerLevels,
  systemPowerLevels,
  templatePowerLevels,
} from "../lib/schema/mod.ts";
import type { MatrixClient } from "../messaging/mod.ts";
import { ensureChild, ensureMember, ensureRoom, type WantedRoom } from "./rooms.ts";
import type { OperatorSession } from "./session.ts";

type Names = Pick<OperatorSession, "user_id" | "namespace" | "fleet" | "machine">;

export function bureauSpace({ user_id: admin, namespace }: Names): WantedRoom {
  return {
    alias: namespace,
    name: namespace,
    topic: "Everything of this Bureau",
    powerLevels: spacePowerLevels([admin]),
    space: true,
  };
}

/** @param machineId user id of `names.machine`; null: no machine is there yet, and no room of one */
export function bureauRooms(names: Names, machineId: string | null): WantedRoom[] {
  const { namespace, fleet } = names;
  const admins = [names.user_id];
  const machines = machineId === null ? [] : [machineId];
  return [
    {
      alias: `${namespace}/system`,
      name: "System",
      powerLevels: systemPowerLevels(admins, machines),
    },
    { alias: `${namespace}/template`, name: "Templates", powerLevels: templatePowerLevels(admins) },
    { alias: fleet, name: `Fleet ${fleet}`, powerLevels: fleetPowerLevels(admins) },
    {
      alias: `${fleet}/machine`,
      name: "Machines",
      powerLevels: machinePowerLevels(admins, machines),
    },
    {
      alias: `${fleet}/service`,
      name: "Services",
      powerLevels: servicePowerLevels(admins, machines),
    },
    ...(machineId === null ? [] : [{
      alias: names.machine,
      name: `Machine ${names.machine}`,
      topic: "What this machine shall run, and its answer",
      powerLevels: configPowerLevels(admins, machineId),
    }]),
  ];
}

/**
 * Makes and mends what is missing of space, rooms, power levels and members.
 * @param machineId user id of `names.machine`; null: there is none yet
 * @param worker of the machine's account, which joins; null: it is invited
 * @param count told of each thing whether it changed, with the localpart of its room's alias
 * @returns room ids by localpart of the alias
 */
export async function ensureBureauRooms(
  admin: MatrixClient,
  worker: MatrixClient | null,
  names: Names & Pick<OperatorSession, "server_name">,
  machineId: string | null,
  count: (changed: boolean, alias: string) => void,
): Promise<Record<string, string>> {
  const { namespace, server_name: server, user_id: me } = names;
  const space = await ensureRoom(admin, server, me, bureauSpace(names));
  count(space.changed, namespace);
  const rooms: Record<string, string> = { [namespace]: space.id };
  for (const room of bureauRooms(names, machineId)) {
    const { id, changed } = await ensureRoom(admin, server, me, room);
    count(changed, room.alias);
    count(await ensureChild(admin, server, space.id, id), room.alias);
    if (machineId !== null) count(await ensureMember(admin, id, machineId, worker), room.alias);
    rooms[room.alias] = id;
  }
  return rooms;
}
