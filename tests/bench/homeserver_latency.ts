// SPDX-License-Identifier: Apache-2.0

/** Latencies of a homeserver as a client meets them, the same for the embedded one and for Synapse. */
import { percentile } from "./report.ts";

const id = encodeURIComponent;

export interface Account {
  readonly url: string;
  readonly token: string;
}

export interface Latencies {
  /** PUT/s of one client, one request after the other. */
  readonly serial: number;
  /** PUT/s of 32 clients in parallel. */
  readonly parallel: number;
  /** From sending to another client's sync, p50, ms. */
  readonly delivery: number;
}

// Answers are looked at field by field.
// deno-lint-ignore no-explicit-any
export type Body = any;

export async function call(
  { url, token }: Account,
  method: string,
  path: string,
  body?: unknown,
): Promise<Body> {
  const response = await fetch(`${url}/_matrix/client/v3/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status}`);
  return answer;
}

const QUIET = id(JSON.stringify({ presence: { not_types: ["*"] } }));

export const syncOnce = (account: Account, since?: string, timeout = 0): Promise<Body> =>
  call(
    account,
    "GET",
    `sync?timeout=${timeout}&filter=${QUIET}${since === undefined ? "" : `&since=${since}`}`,
  );

/** State PUTs of different content in one room, for `ms`. */
async function rate(account: Account, room: string, clients: number, ms: number): Promise<number> {
  let count = 0;
  const end = performance.now() + ms;
  await Promise.all(Array.from({ length: clients }, async (_, client) => {
    while (performance.now() < end) {
      const path = `rooms/${id(room)}/state/m.bench/${clients}-${client}`;
      await call(account, "PUT", path, { index: count++ });
    }
  }));
  return count / (ms / 1000);
}

async function delivery(sender: Account, reader: Account, room: string): Promise<number> {
  let { next_batch: since } = await syncOnce(reader);
  const sample: number[] = [];
  for (let i = 0; i < 120; i++) {
    const poll = syncOnce(reader, since, 30_000);
    // Its request is there before the event: what is measured is the way through a waiting poll.
    await new Promise((resolve) => setTimeout(resolve, 15));
    const start = performance.now();
    const sent = call(sender, "PUT", `rooms/${id(room)}/send/m.bench/${crypto.randomUUID()}`, {
      i,
    });
    ({ next_batch: since } = await poll);
    sample.push(performance.now() - start);
    await sent;
  }
  return percentile(sample.slice(20), 0.5);
}

export async function measure(sender: Account, reader: Account): Promise<Latencies> {
  const { room_id: room } = await call(sender, "POST", "createRoom", { preset: "public_chat" });
  await call(reader, "POST", `join/${id(room)}`, {});
  await rate(sender, room, 4, 500);
  const serial = await rate(sender, room, 1, 3_000);
  const parallel = await rate(sender, room, 32, 3_000);
  return { serial, parallel, delivery: await delivery(sender, reader, room) };
}
