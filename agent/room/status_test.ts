// SPDX-License-Identifier: Apache-2.0

/** What others see of an agent, and how often they are told. */
import assert from "node:assert/strict";
import type { AgentEvent, AgentState } from "../../src/agent/event.ts";
import { HandClock } from "../../src/lib/testing/hand_clock.ts";
import { ProxyClientError } from "../../src/lib/proxyclient/mod.ts";
import { Status, type StatusOptions } from "./status.ts";

const state = (state: AgentState, message?: string): AgentEvent => ({
  type: "state",
  state,
  ...(message === undefined ? {} : { message }),
});
const tool = (name: string): AgentEvent => ({ type: "tool_call", id: "1", name, input: {} });
/** Until everything that can happen has happened: nothing here waits for more than promises. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

function rig(refuses = false) {
  const said: string[] = [];
  const answer = (what: string) => {
    said.push(what);
    const refusal = new ProxyClientError("forbidden", "Cannot", { status: 403 });
    return refuses ? Promise.reject(refusal) : Promise.resolve();
  };
  const proxy: StatusOptions["proxy"] = {
    setAttention: (state, message = "") => {
      said.push(`attention ${state} ${message}`.trim());
      return Promise.reject(new Error("gone"));
    },
    matrix: {
      setTyping: (room, me, ms) => answer(`${me} in ${room} types ${ms}`),
      setPresence: ({ presence, status_msg = "" }) => answer(`${presence} ${status_msg}`.trim()),
    },
  };
  const clock = new HandClock();
  const status = new Status({ proxy, rooms: { own: "!r", me: "@a" }, clock });
  const next = async () => {
    await clock.next();
    await settled();
  };
  return { said, clock, status, next, taken: () => said.splice(0) };
}

Deno.test("it types while it works, and is told again before it would be forgotten", async () => {
  const { status, clock, next, taken } = rig();
  status.tell(state("working"));
  await settled();
  assert.deepEqual(taken(), ["unavailable idle", "attention working", "@a in !r types 30000"]);
  status.tell(state("waiting-approval", "Bash"));
  await settled();
  assert.deepEqual(taken(), ["attention waiting Bash", "@a in !r types null"]);
  status.tell(state("working"));
  await settled();
  assert.deepEqual(taken(), ["attention working", "@a in !r types 30000"]);
  for (const end = clock.now() + 25_000; clock.now() < end;) await next();
  assert.deepEqual(taken().toSorted(), [
    ...["@a in !r types 30000", "online working", "online working"],
  ]);
  status.tell(state("idle"));
  await settled();
  assert.deepEqual(taken(), ["attention idle", "@a in !r types null"]);
  await status.end();
  assert.deepEqual(taken(), ["@a in !r types null", "offline"]);
});

Deno.test("presence changes once in five seconds, to what is newest", async () => {
  const { status, clock, next, taken } = rig();
  const at = clock.now();
  for (const event of [state("working"), tool("Read"), tool("Bash")]) status.tell(event);
  await settled();
  const presences = () => taken().filter((what) => /^(online|unavailable)/.test(what));
  assert.deepEqual(presences(), ["unavailable idle"]);
  while (clock.now() < at + 5_000) await next();
  assert.deepEqual(presences(), ["online tool: Bash"]);
  status.tell(state("failed", "x".repeat(500)));
  while (clock.now() < at + 10_000) await next();
  const [failed, ...more] = presences();
  assert.match(failed!, /^unavailable failed: x+$/);
  assert.ok(failed!.length < 150);
  assert.deepEqual(more, []);
  await status.end();
});

Deno.test("who may not is not heard again, and works on; without a room nobody is told", async () => {
  const { status, taken } = rig(true);
  status.tell(state("working"));
  await settled();
  assert.equal(taken().length, 3);
  for (const event of [state("idle"), state("working")]) status.tell(event);
  await settled();
  assert.deepEqual(taken(), ["attention idle", "attention working"]);
  await status.end();
  assert.deepEqual(taken(), []);
});
