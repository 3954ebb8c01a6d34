// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { EventType, isKnownType, parseEvent, SchemaError, subjectOf } from "./mod.ts";
import { EXAMPLES, MACHINE, SUBJECT } from "./testing/examples.ts";

/** From before versions: what they don't know is dropped, and they are believed all the same. */
const WITHOUT_VERSION: readonly string[] = [
  EventType.authorization,
  EventType.template,
  EventType.machineKey,
  EventType.principalStatus,
];

for (const type of Object.values(EventType)) {
  // Whatever an agent likes to report.
  if (type === EventType.report) continue;
  Deno.test(`${type} is read whole; cleared, newer and malformed are told apart`, () => {
    assert.ok(isKnownType(type), "it has no schema");
    const { content } = EXAMPLES[type];
    assert.deepEqual(parseEvent(type, content), content);
    const open = type === EventType.authorization || type === EventType.template;
    assert.deepEqual(parseEvent(type, {}), open ? {} : null);
    const fails = (given: unknown, code: string) =>
      assert.throws(
        () => parseEvent(type, given),
        (thrown) => thrown instanceof SchemaError && thrown.code === code,
      );
    fails("text", "malformed");
    if (!WITHOUT_VERSION.includes(type)) fails({ ...content, version: 2 }, "newer");
    for (const [field, value] of Object.entries(content)) {
      if (typeof value === "string") fails({ ...content, [field]: { not: "text" } }, "malformed");
      if (typeof value === "number") fails({ ...content, [field]: "1" }, "malformed");
    }
  });
}

Deno.test("subjectOf() names whom an event is about, and nobody where it is about nobody", () => {
  const about = (type: keyof typeof EXAMPLES) => {
    const { key, content } = EXAMPLES[type];
    return subjectOf(type, key, content);
  };
  assert.equal(about(EventType.assignment), SUBJECT);
  assert.equal(about(EventType.temporalGrant), SUBJECT);
  assert.equal(about(EventType.credentialRevocation), MACHINE);
  assert.equal(about(EventType.haLease), MACHINE);
  assert.equal(about(EventType.webrtcOffer), MACHINE);
  assert.equal(about(EventType.webrtcAnswer), MACHINE);
  assert.equal(about(EventType.drainStatus), MACHINE);
  for (
    const type of [EventType.template, EventType.serviceBinding, EventType.fleetCache] as const
  ) {
    assert.equal(about(type), null);
  }
  assert.throws(() => subjectOf(EventType.machineKey, "", {}));
  assert.throws(() => subjectOf(EventType.webrtcAnswer, "only-one:s", {}));
  assert.equal(subjectOf(EventType.haLease, "x", { holder: 7 }), null);
  assert.equal(subjectOf("toString", "x", {}), null);
});
