// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { FakeClock } from "./asks/fake_clock_test.ts";
import { RefusalNotices } from "./refusals.ts";

const NAME = "bureau/fleet/dev/agent/a";
const at = (host: string, principal = NAME) => ({
  principal,
  target: { host, port: 443 },
  code: "egress-refused",
});

function setup() {
  const clock = new FakeClock();
  const said: { body: string; content: Record<string, unknown> }[] = [];
  const notices = new RefusalNotices({
    clock,
    say: (body, content) => said.push({ body, content }),
  });
  return { clock, said, notices };
}

Deno.test("RefusalNotices tells the first refusal at once and the rest as one count", async () => {
  const { clock, said, notices } = setup();
  for (let n = 0; n < 500; n++) notices.take(at("evil.test"));
  assert.equal(said.length, 1);
  assert.match(
    said[0]!.body,
    /^agent\/a was refused: evil\.test:443 \(egress-refused\)\. To allow/,
  );
  await clock.advance(10 * 60_000);
  assert.equal(said.length, 2);
  assert.match(said[1]!.body, /in the last 10 minutes: evil\.test:443 ×499/);
  assert.deepEqual(said[1]!.content["m.bureau.egress_refused"], {
    version: 1,
    principal: NAME,
    destinations: [{ host: "evil.test", port: 443, code: "egress-refused", count: 499 }],
    others: 0,
  });
  // A quiet window ends it: the next one is news again.
  await clock.advance(10 * 60_000);
  assert.equal(said.length, 2);
  notices.take(at("evil.test"));
  assert.equal(said.length, 3);
  notices.close();
});

Deno.test("RefusalNotices stays small whatever names an agent makes up", async () => {
  const { clock, said, notices } = setup();
  for (let n = 0; n < 10_000; n++) notices.take(at(`n${n}.test`));
  assert.equal(said.length, 5);
  await clock.advance(10 * 60_000);
  assert.equal(said.length, 6);
  assert.match(said[5]!.body, /others ×\d+/);
  const { others, destinations } = said[5]!.content["m.bureau.egress_refused"] as {
    others: number;
    destinations: { count: number }[];
  };
  // None is lost: five were told at once.
  assert.equal(destinations.reduce((sum, { count }) => sum + count, others), 9_995);
  notices.close();
});

Deno.test("RefusalNotices keeps principals apart", () => {
  const { said, notices } = setup();
  notices.take(at("evil.test"));
  notices.take(at("evil.test", "bureau/fleet/dev/agent/b"));
  assert.equal(said.length, 2);
  notices.close();
});
