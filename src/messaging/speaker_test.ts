// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { EventType, isKnownType, subjectOf } from "../lib/schema/mod.ts";
import { EXAMPLES } from "../lib/schema/testing/examples.ts";
import * as examples from "../lib/schema/testing/examples.ts";
import { isAdmin, maySpeakFor, type SpeakContext, type StateEntry, type Voice } from "./mod.ts";

const OPERATOR = "@operator:b";
const DEPUTY = "@deputy:b";
const MACHINE = "@machine/one:b";
const OTHER_MACHINE = "@machine/two:b";
const AGENT = "@agent/a:b";
const OTHER_AGENT = "@agent/b:b";
const STRANGER = "@stranger:b";
const EVERYBODY = [OPERATOR, DEPUTY, MACHINE, OTHER_MACHINE, AGENT, OTHER_AGENT, STRANGER];

const levels = (users: Record<string, number>, sender = OPERATOR): StateEntry => ({
  content: { users },
  sender,
  eventId: "$levels",
});

const context = (type: string, change: Partial<SpeakContext> = {}): SpeakContext => ({
  type,
  levels: levels({ [OPERATOR]: 100, [DEPUTY]: 100, [MACHINE]: 50, [OTHER_MACHINE]: 50 }),
  admins: [OPERATOR],
  machine: MACHINE,
  ...change,
});

/** Who is believed about `AGENT`, and about `MACHINE` where machines speak of themselves. */
const RULES: readonly (readonly [string, string | null, Record<string, Voice>])[] = [
  [EventType.assignment, AGENT, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.authorization, AGENT, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.credentials, AGENT, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.fleetConfig, null, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.template, null, { [OPERATOR]: "room-admin", [DEPUTY]: "room-admin" }],
  [EventType.principalStatus, AGENT, { [MACHINE]: "machine" }],
  [
    EventType.machineKey,
    MACHINE,
    { [MACHINE]: "self", [OPERATOR]: "admin", [DEPUTY]: "admin" },
  ],
  [EventType.machineInfo, MACHINE, { [MACHINE]: "self" }],
  [EventType.machineStatus, MACHINE, { [MACHINE]: "self" }],
  [EventType.report, AGENT, { [AGENT]: "self" }],
  // Its subject is the service that says so in it.
  [EventType.agentSession, AGENT, { [AGENT]: "self" }],
  [EventType.agentMetrics, AGENT, { [AGENT]: "self" }],
  [EventType.tokenSigningKey, MACHINE, { [MACHINE]: "self" }],
  [EventType.service, AGENT, { [MACHINE]: "machine" }],
  [EventType.serviceBinding, null, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.temporalGrant, AGENT, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.machineCordon, MACHINE, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  [EventType.credentialRevocation, MACHINE, { [OPERATOR]: "admin", [DEPUTY]: "admin" }],
  ["m.bureau.unheard_of", AGENT, {}],
  ["m.room.message", AGENT, {}],
  ["toString", AGENT, {}],
];

for (const [type, subject, believed] of RULES) {
  Deno.test(`maySpeakFor() believes the right senders about ${type}, of each that there is`, () => {
    for (const sender of EVERYBODY) {
      const verdict = maySpeakFor(sender, subject, context(type));
      const as = believed[sender];
      assert.equal(verdict.allowed, as !== undefined, `${sender} about ${type}`);
      if (verdict.allowed) assert.equal(verdict.as, as);
      else assert.match(verdict.why, new RegExp(`^${sender} may not write .*believed`));
    }
  });
}

Deno.test("of every type its speaker is believed, and of all others the operator at most", () => {
  const { MACHINE, OPERATOR, STRANGER, SUBJECT } = examples;
  for (const type of Object.values(EventType)) {
    if (!isKnownType(type)) continue;
    const { key, content, speaker } = EXAMPLES[type];
    const subject = subjectOf(type, key, content);
    const given = context(type, {
      levels: levels({ [OPERATOR]: 100, [MACHINE]: 50 }, OPERATOR),
      admins: [OPERATOR],
      machine: MACHINE,
    });
    for (const sender of [OPERATOR, MACHINE, SUBJECT, STRANGER, OTHER_MACHINE, "@evil:other"]) {
      const { allowed } = maySpeakFor(sender, subject, given);
      if (sender === speaker) assert.ok(allowed, `${sender} about ${type}`);
      else if (allowed) assert.equal(sender, OPERATOR, `${sender} about ${type}`);
    }
  }
});

Deno.test("every type of lib/schema has a rule", () => {
  for (const type of Object.values(EventType)) {
    const verdict = maySpeakFor(STRANGER, null, context(type));
    assert.ok(!verdict.allowed);
    assert.doesNotMatch(verdict.why, /nobody is believed/);
  }
});

Deno.test("no machine is believed where it isn't known which one the subject lives on", () => {
  const { machine: _, ...unknown } = context(EventType.principalStatus);
  assert.ok(!maySpeakFor(MACHINE, AGENT, unknown).allowed);
});

for (
  const [name, change, expected] of [
    ["listed, level 100", {}, true],
    ["listed, level taken away", { levels: levels({ [OPERATOR]: 50 }) }, false],
    ["listed, in a room without power levels", { levels: undefined }, false],
    ["level 100 of their own making", {
      levels: levels({ [OPERATOR]: 100 }, STRANGER),
      admins: [DEPUTY],
    }, false],
    ["level 100 given by someone listed", {
      admins: [DEPUTY],
      levels: levels({ [OPERATOR]: 100 }, DEPUTY),
    }, true],
    ["level 100 as text", {
      levels: { content: { users: { [OPERATOR]: "100" } }, sender: OPERATOR, eventId: "$1" },
    }, false],
    ["level 100 as everybody's, by someone listed", {
      levels: { content: { users_default: 100 }, sender: OPERATOR, eventId: "$1" },
    }, true],
  ] as const satisfies readonly (readonly [string, Partial<SpeakContext>, boolean])[]
) {
  Deno.test(`isAdmin() is ${expected}: ${name}`, () => {
    const given = context(EventType.assignment, change);
    assert.equal(isAdmin(OPERATOR, given), expected);
    assert.equal(maySpeakFor(OPERATOR, AGENT, given).allowed, expected);
  });
}
