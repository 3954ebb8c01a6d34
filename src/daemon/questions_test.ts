// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import type { MatrixClient, MatrixEvent, SyncBatch } from "../messaging/mod.ts";
import { askContent } from "./asks/message.ts";
import { type Question, QuestionRoom } from "./questions.ts";

const ROOM = "!config:s";
const MACHINE = "@machine:s";

function reaction(about: string, key = "✅", sender = "@operator:s"): MatrixEvent {
  const relation = { rel_type: "m.annotation", event_id: about, key };
  const content = { "m.relates_to": relation };
  return {
    type: "m.reaction",
    sender,
    content,
    event_id: `$r${key}${sender}`,
    origin_server_ts: 0,
  };
}

const batchOf = (...timeline: MatrixEvent[]) =>
  ({
    initial: false,
    left: [],
    joined: [{ room: ROOM, state: [], timeline, limited: false }],
  }) as unknown as SyncBatch;

/** One question that an earlier life sent, and was killed before it wrote down the id of the message. */
function killedAfterSending() {
  const question: { -readonly [K in keyof Question]: Question[K] } = {
    id: "q1",
    until: systemClock.now() + 60_000,
    event_id: null,
  };
  const answered = Promise.withResolvers<string>();
  const transactions: string[] = [];
  const decided: string[] = [];
  const client = {
    send: (_room: string, _type: string, _content: unknown, transaction: string) => {
      transactions.push(transaction);
      return answered.promise;
    },
  } as unknown as MatrixClient;
  const room = new QuestionRoom<Question, Question>({
    notice: "egress_ask",
    prefix: "ask",
    pending: () => [question],
    announced: (_, event) => question.event_id = event,
    mayDecide: (user) => user === "@operator:s",
    decide: (_, answer, { by }) => {
      decided.push(`${by} ${JSON.stringify(answer)}`);
      return null;
    },
    asks: () => ({}),
    ended: () => ({}),
  }, {
    client,
    configRoom: () => ROOM,
    machine: MACHINE,
    admins: [],
    stateDir: "/none",
    post: () => Promise.resolve(),
    clock: systemClock,
    log: createLogger("test", {}, () => {}),
    signal: new AbortController().signal,
  });
  return { room, question, answered, transactions, decided };
}

Deno.test("an answer that is here before the question's own message is known again is not lost", async () => {
  const { room, question, answered, transactions, decided } = killedAfterSending();
  room.announce(question);
  room.takeBatch(batchOf(reaction("$question"), reaction("$another")));
  room.takeBatch(batchOf(reaction("$question", "✅", "@stranger:s")));
  assert.deepEqual(decided, []);
  // The same transaction as in the life before: the homeserver answers with the message of that one.
  assert.deepEqual(transactions, ["ask-q1"]);
  answered.resolve("$question");
  await answered.promise;
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(question.event_id, "$question");
  assert.equal(decided.length, 1);
  assert.match(decided[0]!, /^@operator:s /);
});

Deno.test("the same where the message itself comes later than its answer, once", () => {
  const { room, question, decided } = killedAfterSending();
  room.takeBatch(batchOf(reaction("$question")));
  const message: MatrixEvent = {
    type: "m.room.message",
    sender: MACHINE,
    content: askContent({
      ...{ id: "q1", principal: "bureau/fleet/dev/agent/a", host: "x.test", port: 443 },
      ...{ since: question.until - 60_000, until: question.until, event_id: null },
    }, []),
    event_id: "$question",
    origin_server_ts: 0,
  };
  room.takeBatch(batchOf(message));
  room.takeBatch(batchOf(message));
  assert.equal(question.event_id, "$question");
  assert.equal(decided.length, 1);
});
