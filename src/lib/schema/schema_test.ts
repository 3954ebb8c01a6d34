// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  agentPowerLevels,
  configPowerLevels,
  EventType,
  fleetPowerLevels,
  machinePowerLevels,
  parseEvent,
  type PowerLevels,
  SchemaError,
  servicePowerLevels,
  spacePowerLevels,
  systemPowerLevels,
  templatePowerLevels,
  workspacePowerLevels,
} from "./mod.ts";

const ADMIN = "@admin:s";
const MACHINE = "@bureau/fleet/dev/machine/m:s";
const AGENT = "@bureau/fleet/dev/agent/a:s";

const rooms: Record<string, PowerLevels> = {
  space: spacePowerLevels([ADMIN]),
  config: configPowerLevels([ADMIN], MACHINE),
  template: templatePowerLevels([ADMIN]),
  fleet: fleetPowerLevels([ADMIN]),
  machine: machinePowerLevels([ADMIN], [MACHINE]),
  service: servicePowerLevels([ADMIN], [MACHINE]),
  system: systemPowerLevels([ADMIN], [MACHINE]),
  workspace: workspacePowerLevels([ADMIN], [MACHINE]),
  agent: agentPowerLevels([ADMIN], ["m.bureau.report"]),
};

/** Matrix's rule for state events (authorization rule 9 and "power levels"). */
const maySend = (levels: PowerLevels, user: string, type: string) =>
  (levels.users[user] ?? levels.users_default) >= (levels.events[type] ?? levels.state_default);

Deno.test("power levels let nobody but an admin write what decides, in every kind of room", () => {
  const deciding = [
    EventType.assignment,
    EventType.authorization,
    EventType.credentials,
    EventType.template,
    EventType.fleetConfig,
    "m.bureau.temporal_grant",
    "m.bureau.service_binding",
    "m.room.power_levels",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.bureau.not_yet_invented",
  ];
  for (const [name, levels] of Object.entries(rooms)) {
    for (const type of deciding) {
      for (const user of [MACHINE, AGENT, "@member:s"]) {
        assert.equal(maySend(levels, user, type), false, `${user} ${type} in ${name}`);
      }
      assert.equal(maySend(levels, ADMIN, type), true, `admin ${type} in ${name}`);
    }
    for (const value of [levels.kick, levels.ban, levels.redact]) assert.equal(value, 100, name);
  }
});

Deno.test("power levels open exactly what a machine and an agent need", () => {
  assert.equal(maySend(rooms.config!, MACHINE, EventType.principalStatus), true);
  assert.equal(maySend(rooms.config!, AGENT, EventType.principalStatus), false);
  assert.equal(maySend(rooms.config!, MACHINE, "m.room.message"), true);
  assert.equal(maySend(rooms.machine!, MACHINE, EventType.machineKey), true);
  assert.equal(maySend(rooms.machine!, AGENT, EventType.machineKey), false);
  assert.equal(maySend(rooms.agent!, AGENT, "m.bureau.report"), true);
  assert.equal(maySend(rooms.agent!, AGENT, "m.room.topic"), false);
  assert.equal(rooms.agent!.events_default, 0);
  assert.equal(rooms.config!.events_default, 100);
});

Deno.test("agentPowerLevels() keeps a guarded type closed when someone names it", () => {
  const levels = agentPowerLevels([ADMIN], [EventType.authorization, "m.room.power_levels"]);
  assert.equal(maySend(levels, AGENT, EventType.authorization), false);
  assert.equal(maySend(levels, AGENT, "m.room.power_levels"), false);
});

Deno.test("configPowerLevels() leaves an admin its power when the machine's account is one too", () => {
  assert.equal(configPowerLevels([MACHINE], MACHINE).users[MACHINE], 100);
});

Deno.test("parseEvent() tells cleared, newer and malformed apart", () => {
  const key = { algorithm: "age-x25519", public_key: "age1x" };
  assert.deepEqual(parseEvent(EventType.machineKey, { ...key, later: 1 }), key);
  assert.equal(parseEvent(EventType.assignment, {}), null);
  assert.deepEqual(parseEvent(EventType.authorization, {}), {});
  const fails = (content: unknown, code: string) =>
    assert.throws(
      () => parseEvent(EventType.credentials, content),
      (error) =>
        error instanceof SchemaError && error.code === code && !error.message.includes("s3cret"),
    );
  fails({ version: 2 }, "newer");
  fails({ version: 1, ciphertext: { s3cret: "s3cret" } }, "malformed");
  fails(null, "malformed");
  fails("s3cret", "malformed");
});
