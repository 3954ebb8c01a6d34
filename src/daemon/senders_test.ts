// SPDX-License-Identifier: Apache-2.0

/** W-3, W-4: whatever type of event somebody writes who may not, it is to the daemon as if it were not there. */
import assert from "node:assert/strict";
import { canonicalJson } from "../lib/canonical/mod.ts";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import { EventType } from "../lib/schema/mod.ts";
import { EXAMPLES, MACHINE, OPERATOR, STRANGER, SUBJECT } from "../lib/schema/testing/examples.ts";
import { templateDigest } from "../lib/template/mod.ts";
import { type MatrixClient, type MatrixEvent, RoomStates } from "../messaging/mod.ts";
import { type DesiredContext, evaluate } from "./desired.ts";
import { StatusPublisher } from "./publisher.ts";
import { roomPolicy } from "./room_policy.ts";

const CONFIG = "!config:s";
const TEMPLATES = "!templates:s";
const OTHER = "@bureau/fleet/dev/machine/other:s";
const KEY = SUBJECT.slice(1);
const template = { description: "it", command: ["/bin/sh"] };

/** Everything from whom it must come; `change` takes the place of an event of its room, type and key. */
async function known(change?: Partial<MatrixEvent> & { room: string }): Promise<DesiredContext> {
  const states = new RoomStates();
  const users = { [OPERATOR]: 100, [MACHINE]: 50, [OTHER]: 50 };
  const assignment = {
    ...EXAMPLES[EventType.assignment].content,
    template_digest: await templateDigest(template),
  };
  let id = 0;
  const put = (room: string, type: string, key: string, sender: string, content: object) => {
    const event = { type, state_key: key, sender, content, event_id: `$${id++}` };
    states.apply(room, event as unknown as MatrixEvent);
  };
  for (const room of [CONFIG, TEMPLATES]) put(room, "m.room.power_levels", "", OPERATOR, { users });
  put(CONFIG, EventType.assignment, KEY, OPERATOR, assignment);
  put(CONFIG, EventType.credentials, KEY, OPERATOR, EXAMPLES[EventType.credentials].content);
  put(TEMPLATES, EventType.template, "agent", OPERATOR, template);
  if (change !== undefined) {
    const { room, type, state_key: key, sender, content } = change;
    put(room, type!, key!, sender!, content!);
  }
  return {
    states,
    configRoom: CONFIG,
    machine: MACHINE,
    serverName: "s",
    fleet: "f/fleet/a",
    admins: [OPERATOR],
    homeserverUrl: "http://127.0.0.1:1",
    conditions: {
      holds: () => Promise.reject(new Error("nothing has a condition here")),
      release: () => {},
    },
    openRoom: () => Promise.resolve(TEMPLATES),
  };
}

const everything = { actions: ["**"], targets: ["**:**"], expires_at: "2999-01-01T00:00:00Z" };
/** What each type would do if it were believed. */
const ATTACKS: readonly (readonly [type: string, room: string, key: string, content: object])[] = [
  [EventType.assignment, CONFIG, KEY, {
    ...EXAMPLES[EventType.assignment].content,
    command_override: ["/bin/evil"],
    authorization: { grants: [everything] },
  }],
  [EventType.credentials, CONFIG, KEY, {
    ...EXAMPLES[EventType.credentials].content,
    ciphertext: "ZXZpbA==",
  }],
  [EventType.template, TEMPLATES, "agent", {
    ...template,
    authorization: { grants: [everything] },
  }],
  [EventType.authorization, CONFIG, KEY, { grants: [everything] }],
  [EventType.authorization, CONFIG, "", { grants: [everything] }],
  [EventType.temporalGrant, CONFIG, "t1", { grant: everything, principal: SUBJECT }],
];
/** The agent about itself, its neighbour, another machine, its own machine, somebody of another server. */
const IMPOSTORS = [SUBJECT, STRANGER, OTHER, MACHINE, "@operator:evil"];

for (const [type, room, key, content] of ATTACKS) {
  Deno.test(`the daemon obeys nobody but an admin about ${type} "${key}"`, async () => {
    const right = await evaluate(SUBJECT, await known());
    assert.deepEqual([right.desired.want, right.desired.problem], ["running", null]);
    for (const sender of IMPOSTORS) {
      const forged = { room, type, state_key: key, sender, content: { ...content } };
      const { desired, policy, credentials, assignment } = await evaluate(
        SUBJECT,
        await known(forged),
      );
      assert.ok(!policy.grants.some(({ actions }) => actions.includes("**")), sender);
      assert.notEqual(credentials, "ZXZpbA==", sender);
      assert.deepEqual(assignment?.command_override, undefined, sender);
      // An event that stood there is gone, and said to be; one that nobody needs is not missed.
      const needed = type !== EventType.authorization && type !== EventType.temporalGrant;
      assert.equal(desired.problem?.code, needed ? "untrusted-sender" : undefined, sender);
      if (!needed) assert.equal(canonicalJson(desired), canonicalJson(right.desired));
    }
    // Control: from the operator it counts, or is taken for what it is.
    const own = { room, type, state_key: key, sender: OPERATOR, content: { ...content } };
    const obeyed = await evaluate(SUBJECT, await known(own));
    const counts = obeyed.policy.grants.some(({ actions }) => actions.includes("**")) ||
      obeyed.credentials === "ZXZpbA==" || obeyed.desired.problem?.code === "template-changed";
    assert.ok(counts, JSON.stringify(obeyed.desired));
  });
}

Deno.test("a policy about a person counts from admins alone, and so does a denial", async () => {
  const key = OPERATOR.slice(1);
  for (const sender of IMPOSTORS) {
    const content = { denials: [{ actions: ["**"] }] };
    const type = EventType.authorization;
    const context = await known({ room: CONFIG, type, state_key: key, sender, content });
    assert.equal(roomPolicy(context, CONFIG, key), null, sender);
  }
});

Deno.test("a status that another wrote is not what this machine has said", async () => {
  const { content } = EXAMPLES[EventType.principalStatus];
  const type = EventType.principalStatus;
  for (const sender of [...IMPOSTORS, OPERATOR]) {
    const context = await known({ room: CONFIG, type, state_key: KEY, sender, content });
    const publisher = new StatusPublisher({
      client: {} as MatrixClient,
      states: context.states,
      room: () => CONFIG,
      say: () => Promise.resolve(),
      machine: MACHINE,
      clock: systemClock,
      log: createLogger("test", {}, () => {}),
      signal: AbortSignal.abort(),
    });
    const expected = sender === MACHINE ? content : null;
    assert.deepEqual(publisher.published(SUBJECT), expected, sender);
  }
});
