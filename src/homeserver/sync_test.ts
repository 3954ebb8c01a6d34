// SPDX-License-Identifier: Apache-2.0

/** A model of clients: whatever happens in whatever order, each knows the room's state in the end. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { startHomeserver } from "./server.ts";

const id = encodeURIComponent;

interface Event {
  type: string;
  state_key?: string;
  content: Record<string, unknown>;
  event_id: string;
}

type Call = (method: string, path: string) => Promise<{ body: unknown }>;

class Client {
  since: string | undefined;
  joined = false;
  state = new Map<string, string>();
  readonly #call: Call;
  readonly #room: string;
  readonly #filter: string;

  constructor(call: Call, room: string, filter: unknown) {
    this.#call = call;
    this.#room = room;
    this.#filter = id(JSON.stringify(filter));
  }

  async sync(): Promise<void> {
    const query = this.since === undefined ? "" : `&since=${this.since}`;
    const { body } = await this.#call("GET", `sync?filter=${this.#filter}${query}`);
    const { next_batch, rooms } = body as {
      next_batch: string;
      rooms?: {
        join?: Record<string, { state: { events: Event[] }; timeline: { events: Event[] } }>;
        leave?: Record<string, unknown>;
      };
    };
    this.since = next_batch;
    const part = rooms?.join?.[this.#room];
    if (part !== undefined) {
      if (!this.joined) this.state.clear();
      this.joined = true;
      for (const event of [...part.state.events, ...part.timeline.events]) {
        if (event.state_key === undefined) continue;
        this.state.set(`${event.type} ${event.state_key}`, event.event_id);
      }
    }
    if (rooms?.leave?.[this.#room] !== undefined) this.joined = false;
  }
}

const operation = fc.oneof(
  fc.record({
    op: fc.constant("state" as const),
    type: fc.constantFrom("m.a", "m.b"),
    key: fc.constantFrom("", "k/1"),
  }),
  fc.record({ op: fc.constant("message" as const) }),
  fc.record({ op: fc.constant("sync" as const), client: fc.nat(2) }),
  fc.record({ op: fc.constantFrom("leave" as const, "join" as const, "kick" as const) }),
);

Deno.test("sync() gives every client the room's state, in any interleaving", async () => {
  const stateDir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const server = startHomeserver({
    version: 1,
    listen: { hostname: "127.0.0.1", port: 0 },
    server_name: "x",
    state_dir: stateDir,
    registration_shared_secret: "s",
  });
  const request = async (
    token: string | undefined,
    method: string,
    path: string,
    body?: unknown,
  ) => {
    const response = await fetch(
      `${server.url}${path.startsWith("/") ? path : `/_matrix/client/v3/${path}`}`,
      {
        method,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
    );
    return { status: response.status, body: await response.json() };
  };
  const register = async (username: string) => {
    const { body: { nonce } } = await request(undefined, "GET", "/_synapse/admin/v1/register");
    const mac = createHmac("sha1", "s").update([nonce, username, "p", "notadmin"].join("\0"));
    const { body } = await request(undefined, "POST", "/_synapse/admin/v1/register", {
      nonce,
      username,
      password: "p",
      mac: mac.digest("hex"),
    });
    return (method: string, path: string, content?: unknown) =>
      request(body.access_token, method, path, content);
  };
  try {
    const alice = await register("alice");
    const bob = await register("bob");
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async (operations) => {
        const created = await alice("POST", "createRoom", { preset: "public_chat" });
        const roomId = created.body.room_id as string;
        const room = id(roomId);
        await bob("POST", `join/${room}`, {});
        const only = (filter: Record<string, unknown>) => ({
          presence: { not_types: ["*"] },
          room: { rooms: [roomId], ...filter },
        });
        const clients = [
          new Client(bob, roomId, only({ timeline: { limit: 1 } })),
          new Client(bob, roomId, only({})),
          // Its timeline never shows state: all of it must come in the state section.
          new Client(bob, roomId, only({ timeline: { limit: 2, types: ["m.room.message"] } })),
        ];
        let n = 0;
        for (const step of operations) {
          if (step.op === "state") {
            await alice("PUT", `rooms/${room}/state/${step.type}/${id(step.key)}`, { n: n++ });
          } else if (step.op === "message") {
            await alice("PUT", `rooms/${room}/send/m.room.message/${n++}`, { n });
          } else if (step.op === "sync") await clients[step.client]!.sync();
          else if (step.op === "kick") {
            await alice("POST", `rooms/${room}/kick`, { user_id: "@bob:x" });
          } else await bob("POST", `rooms/${room}/${step.op}`, {});
        }
        await bob("POST", `rooms/${room}/join`, {});
        const { body } = await bob("GET", `rooms/${room}/state`);
        const expected = new Map(
          (body as Event[]).map((event) => [`${event.type} ${event.state_key}`, event.event_id]),
        );
        for (const client of clients) {
          await client.sync();
          assert.deepEqual(new Map([...client.state].sort()), new Map([...expected].sort()));
        }
      }),
      { numRuns: 60 },
    );
  } finally {
    await server.close();
    await Deno.remove(stateDir, { recursive: true });
  }
});
