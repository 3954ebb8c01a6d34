// SPDX-License-Identifier: Apache-2.0

/** Whatever its type: what a stranger wrote into a room is found, and what its own speaker wrote is not. */
import assert from "node:assert/strict";
import { EventType, isKnownType } from "../../../lib/schema/mod.ts";
import {
  EXAMPLES,
  MACHINE,
  OPERATOR,
  STRANGER,
  SUBJECT,
} from "../../../lib/schema/testing/examples.ts";
import type { StateEvent } from "../../../messaging/mod.ts";
import type { CheckContext, Finding, Seen } from "./finding.ts";
import { checkMachines } from "./machines.ts";
import { checkOthers } from "./others.ts";
import { checkPrincipals } from "./principals.ts";

const FLEET = "bureau/fleet/dev";
const state = (type: string, key: string, sender: string, content: object): StateEvent =>
  ({ type, state_key: key, sender, content, event_id: "$1" }) as unknown as StateEvent;

function roomWith(alias: string, events: readonly StateEvent[]): Seen {
  const users = { [OPERATOR]: 100, [MACHINE]: 50 };
  const levels = state("m.room.power_levels", "", OPERATOR, { users });
  return { id: `!${alias}`, alias, label: `#${alias}:s`, state: [levels, ...events] };
}

async function findings(room: Seen): Promise<Finding[]> {
  const context = {
    session: {
      user_id: OPERATOR,
      server_name: "s",
      fleet: FLEET,
      namespace: "bureau",
      machine: MACHINE.slice(1).split(":")[0]!,
    },
    store: { tryTrace: () => Promise.resolve("no template") },
    operatorKeys: [],
    rooms: [room],
  } as unknown as CheckContext;
  return [
    ...checkMachines(context),
    ...checkOthers(context),
    ...await checkPrincipals(context),
  ];
}

/** Where it counts. */
const placeOf = (type: string) =>
  type === EventType.service ? `${FLEET}/service` : MACHINE.slice(1).split(":")[0]!;

for (const type of Object.values(EventType)) {
  // An agent's own words, in its own room: nothing obeys them.
  if (type === EventType.report) continue;
  Deno.test(`matrix check finds ${type} from a stranger, and not from its speaker`, async () => {
    assert.ok(isKnownType(type), `${type} has no schema`);
    const { key, content, speaker } = EXAMPLES[type];
    const told = async (sender: string) =>
      (await findings(roomWith(placeOf(type), [state(type, key, sender, content)])))
        .filter(({ subject }) => subject === (key === "" ? `#${placeOf(type)}:s` : key));
    const stranger = await told(STRANGER);
    const wrong = type === EventType.service ? "dead-service" : "wrong-sender";
    assert.deepEqual(stranger.map(({ code }) => code), [wrong], JSON.stringify(stranger));
    assert.ok(!(await told(speaker)).some(({ code }) => code === "wrong-sender"));
    // Nobody speaks for another of their own kind.
    const other = speaker === OPERATOR ? MACHINE : speaker === MACHINE ? SUBJECT : MACHINE;
    assert.ok((await told(other)).some(({ code }) => code === wrong), `${other} about ${type}`);
  });
}

Deno.test("matrix check finds what has no shape, whatever its type", async () => {
  for (const type of [EventType.haLease, EventType.layout, EventType.fleetCache]) {
    const { key, speaker } = EXAMPLES[type];
    const broken = state(type, key, speaker, { version: 2, holder: MACHINE });
    const found = await findings(roomWith(placeOf(type), [broken]));
    assert.ok(found.some(({ code }) => code === "malformed"), type);
  }
});
