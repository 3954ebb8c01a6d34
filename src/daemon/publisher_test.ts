// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import type { PrincipalStatus } from "../lib/schema/mod.ts";
import { type MatrixClient, RoomStates } from "../messaging/mod.ts";
import { StatusPublisher } from "./publisher.ts";

const USER = "@bureau/fleet/dev/agent/open:bureau.local";

Deno.test("a start is told once though a new assignment comes while it is being told", async () => {
  const telling = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const transactions: string[] = [];
  const stop = new AbortController();
  const publisher = new StatusPublisher({
    client: { putState: () => Promise.resolve("$e") } as unknown as MatrixClient,
    states: new RoomStates(),
    room: () => "!config:bureau.local",
    say: async (_room, _body, txn) => {
      transactions.push(txn);
      telling.resolve();
      await told.promise;
    },
    machine: "@bureau/fleet/dev/machine/box:bureau.local",
    clock: systemClock,
    log: createLogger("test", {}, () => {}),
    signal: stop.signal,
  });
  const running = (since: number, issued_at: number) => {
    const status: PrincipalStatus = {
      principal: USER,
      phase: "running",
      since,
      restarts: 0,
      issued_at,
      isolation: "none",
    };
    publisher.publish({ userId: USER, status, notice: "it runs WITHOUT ISOLATION" });
  };
  running(1_000, 1);
  await telling.promise;
  // Both reports hold the sentence, because nothing is written yet.
  running(1_000, 2);
  told.resolve();
  await publisher.settled();
  assert.equal(transactions.length, 2);
  assert.equal(new Set(transactions).size, 1);
  // Control: another start is told again.
  running(2_000, 2);
  await publisher.settled();
  assert.equal(new Set(transactions).size, 2);
});
