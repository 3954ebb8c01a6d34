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
import type { WantedRoom } from "./rooms.ts";
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

/** @param machineId user id of `names.machine` */
export function bureauRooms(names: Names, machineId: string): WantedRoom[] {
  const { namespace, fleet } = names;
  const admins = [names.user_id];
  return [
    {
      alias: `${namespace}/system`,
      name: "System",
      powerLevels: systemPowerLevels(admins, [machineId]),
    },
    { alias: `${namespace}/template`, name: "Templates", powerLevels: templatePowerLevels(admins) },
    { alias: fleet, name: `Fleet ${fleet}`, powerLevels: fleetPowerLevels(admins) },
    {
      alias: `${fleet}/machine`,
      name: "Machines",
      powerLevels: machinePowerLevels(admins, [machineId]),
    },
    {
      alias: `${fleet}/service`,
      name: "Services",
      powerLevels: servicePowerLevels(admins, [machineId]),
    },
    {
      alias: names.machine,
      name: `Machine ${names.machine}`,
      topic: "What this machine shall run, and its answer",
      powerLevels: configPowerLevels(admins, machineId),
    },
  ];
}
