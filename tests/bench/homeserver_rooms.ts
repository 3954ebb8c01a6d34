// SPDX-License-Identifier: Apache-2.0

/** An account with many rooms: what its syncs cost, and what Bureau's own client holds of them. */
import { createMatrixClient, RoomStates, runSync } from "../../src/messaging/mod.ts";
import { memoryOf, percentile, report } from "./report.ts";
import { type Account, call, syncOnce } from "./homeserver_latency.ts";

const id = encodeURIComponent;
export const ROOMS = 1_000;
/** With those that a room begins with it has about 30. */
const EVENTS = 24;

/** @returns the rooms, each with `EVENTS` state events of its own */
export async function makeRooms(account: Account): Promise<string[]> {
  const rooms: string[] = [];
  const initial = Array.from({ length: EVENTS }, (_, index) => ({
    type: "m.bureau.bench",
    state_key: `agent/number-${index}`,
    content: { version: 1, phase: "running", index, labels: { team: "bench", tier: `t${index}` } },
  }));
  await Promise.all(Array.from({ length: 8 }, async (_, worker) => {
    for (let n = worker; n < ROOMS; n += 8) {
      const body = { preset: "private_chat", name: `room ${n}`, initial_state: initial };
      rooms.push((await call(account, "POST", "createRoom", body)).room_id);
    }
  }));
  return rooms;
}

/** Initial sync of everything, and incremental syncs with one change among all rooms. */
export async function syncTimes(
  account: Account,
  rooms: readonly string[],
): Promise<{ initialMs: number; incrementalMs: number; megabytes: number; events: number }> {
  const initial: number[] = [];
  let since = "";
  let [megabytes, events] = [0, 0];
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const body = await syncOnce(account);
    initial.push(performance.now() - start);
    since = body.next_batch;
    megabytes = JSON.stringify(body).length / 1e6;
    events = Object.values<{ state: { events: unknown[] }; timeline: { events: unknown[] } }>(
      body.rooms.join,
    ).reduce((sum, { state, timeline }) => sum + state.events.length + timeline.events.length, 0);
  }
  const incremental: number[] = [];
  for (let i = 0; i < 60; i++) {
    const room = id(rooms[(i * 37) % rooms.length]!);
    await call(account, "PUT", `rooms/${room}/state/m.bureau.bench/changed`, { i });
    const start = performance.now();
    const body = await syncOnce(account, since);
    incremental.push(performance.now() - start);
    since = body.next_batch;
    if (Object.keys(body.rooms.join).length !== 1) throw new Error("not one room changed");
  }
  return {
    initialMs: percentile(initial, 0.5),
    incrementalMs: percentile(incremental.slice(10), 0.5),
    megabytes,
    events,
  };
}

/** Private memory of a process that holds all rooms' state with Bureau's client. */
export async function clientMemory(account: Account, userId: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--allow-all",
      "--v8-flags=--max-semi-space-size=1",
      import.meta.url,
      JSON.stringify({ ...account, userId }),
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  try {
    const { value } = await child.stdout.getReader().read();
    const held = Number(new TextDecoder().decode(value).trim());
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const { privateMb } = await memoryOf(child.pid);
    report({
      id: "messaging.memory",
      value: privateMb,
      unit: "MB",
      note: `RoomStates holds ${held} state events of ${ROOMS} rooms`,
    });
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

/** What the daemon asks for: state, no presence, no receipts. */
const FILTER = {
  presence: { types: [] },
  account_data: { types: [] },
  room: { timeline: { limit: 20 }, ephemeral: { types: [] }, account_data: { types: [] } },
};

/** The measured process: says how many events it holds after its first batch, and goes on syncing. */
async function holdRooms({ url, token, userId }: Account & { userId: string }): Promise<void> {
  const states = new RoomStates();
  await runSync({
    client: createMatrixClient({ homeserverUrl: url, accessToken: token }),
    userId,
    filter: FILTER,
    store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
    signal: new AbortController().signal,
    onBatch({ initial, joined }) {
      let held = 0;
      for (const { room, state, timeline } of joined) {
        for (const event of [...state, ...timeline]) if (states.apply(room, event)) held++;
      }
      if (initial) console.log(held);
    },
  });
}

if (import.meta.main) await holdRooms(JSON.parse(Deno.args[0]!));
