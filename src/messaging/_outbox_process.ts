// SPDX-License-Identifier: Apache-2.0

/**
 * For tests: puts messages into an outbox and stops dead where it is told to, so that the test can kill
 * it there. Prints `stopped` then, `done` when everything was sent.
 */
import { createMatrixClient, Outbox } from "./mod.ts";

interface Order {
  readonly url: string;
  readonly token: string;
  readonly journal: string;
  readonly room: string;
  /** Bodies to put, each also the transaction's id. */
  readonly bodies: readonly string[];
  /** Before the request leaves, or when its answer is there; `n`: at which request, from 0. */
  readonly stop: { readonly at: "request" | "answer"; readonly n: number } | null;
}

const order = JSON.parse(Deno.args[0]!) as Order;
let requests = 0;

function stopped(): Promise<never> {
  console.log("stopped");
  return new Promise(() => setInterval(() => {}, 60_000));
}

const client = createMatrixClient({
  homeserverUrl: order.url,
  accessToken: order.token,
  async fetch(input, init) {
    const here = order.stop !== null && requests++ === order.stop.n ? order.stop.at : null;
    if (here === "request") return await stopped();
    const response = await fetch(input, init);
    if (here !== "answer") return response;
    await response.text();
    return await stopped();
  },
});
const outbox = await Outbox.open({
  path: order.journal,
  client,
  signal: new AbortController().signal,
});
for (const body of order.bodies) {
  const content = { msgtype: "m.notice", body };
  await outbox.put({ room: order.room, type: "m.room.message", content, txn: body });
}
await outbox.settled();
console.log("done");
