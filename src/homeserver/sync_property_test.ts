// SPDX-License-Identifier: Apache-2.0

/**
 * Sync against a model: several users do anything in any order while clients with changing limits
 * sync at any moment and lose answers. In the end each knows the state, was told all that it may see
 * once or finds it before a gap, and was never told anything else.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { registerAt } from "./_model.ts";
import { SECRET, type User } from "./_process.ts";
import { startHomeserver } from "./server.ts";
import { Client, type Event, History, slotOf } from "./_sync_model.ts";

const id = encodeURIComponent;
const PEOPLE = 3;
const CLIENTS = 5;
/** More by hand: `PROPERTY_RUNS=2000 deno test -A src/homeserver/sync_property_test.ts`. */
const RUNS = Number(Deno.env.get("PROPERTY_RUNS") ?? 60);
const who = fc.nat(PEOPLE - 1);

const action = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant("send" as const), who) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constant("state" as const), who, fc.constantFrom("", "k", "a/b")),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant("redact" as const), who, fc.nat(30)) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom("join" as const, "leave" as const), who) },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constantFrom("invite" as const, "kick" as const, "ban" as const, "unban" as const),
      // The owner acts in half of the cases: most others may not.
      fc.constantFrom(-1, -1, 0, 1, 2),
      who,
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant("power" as const), who, fc.constantFrom(0, 50)) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant("visibility" as const),
      fc.constantFrom("shared", "joined", "invited", "world_readable"),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("receipt" as const, "data" as const), who) },
  {
    weight: 10,
    arbitrary: fc.tuple(
      fc.constant("sync" as const),
      fc.nat(CLIENTS - 1),
      // Not 0: a client that wants no timeline is not told of gaps in it, as with Synapse.
      fc.constantFrom(1, 2, 3, 10, 50),
      fc.boolean(),
    ),
  },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

class World {
  readonly #owner: User;
  readonly #people: readonly User[];
  readonly room: string;
  readonly clients: readonly Client[];
  readonly #sent: string[] = [];
  #count = 0;

  constructor(owner: User, people: readonly User[], room: string) {
    this.#owner = owner;
    this.#people = people;
    this.room = room;
    const [bob, carol, dave] = people as [User, User, User];
    this.clients = [
      new Client(bob, room),
      new Client(bob, room),
      new Client(carol, room),
      // State that its timeline never shows must come in the state section.
      new Client(carol, room, ["m.room.message"]),
      new Client(dave, room),
    ];
  }

  /** Refusals are as good as any other outcome; failures of the server are not. */
  async do([what, ...rest]: Action): Promise<void> {
    if (what === "sync") {
      const [client, limit, lost] = rest as [number, number, boolean];
      return await this.clients[client]!.sync(this.#owner, limit, lost);
    }
    const [first, second] = rest as [number | string, (number | string)?];
    const actor = typeof first === "number" && first >= 0 ? this.#people[first]! : this.#owner;
    const reply = await this.#call(what, actor, first, second);
    assert.ok(reply.status < 500, `${what}: ${JSON.stringify(reply.body)}`);
    if (what !== "redact" && reply.body.event_id) this.#sent.push(reply.body.event_id);
  }

  #call(
    what: Exclude<Action[0], "sync">,
    actor: User,
    first: number | string,
    second: number | string | undefined,
  ) {
    const room = `rooms/${id(this.room)}`;
    const n = this.#count++;
    const body = { n };
    const event = id(this.#sent[Number(second ?? n) % Math.max(1, this.#sent.length)] ?? "$none");
    switch (what) {
      case "send":
        return actor.call("PUT", `${room}/send/m.room.message/${n}`, body);
      case "state":
        return actor.call("PUT", `${room}/state/m.x/${second}`, body);
      case "redact":
        return actor.call("PUT", `${room}/redact/${event}/${n}`, {});
      case "join":
      case "leave":
        return actor.call("POST", `${room}/${what}`, {});
      case "power":
        return this.#owner.call("PUT", `${room}/state/m.room.power_levels`, {
          users: { [this.#owner.id]: 100, [actor.id]: second },
          events: { "m.x": 0 },
        });
      case "visibility":
        return this.#owner.call("PUT", `${room}/state/m.room.history_visibility`, {
          history_visibility: first,
        });
      case "receipt":
        return actor.call("POST", `${room}/receipt/m.read/${event}`, {});
      case "data": {
        const path = `user/${id(actor.id)}/${room}/account_data/m.d`;
        return actor.call("PUT", path, body);
      }
      default:
        return actor.call("POST", `${room}/${what}`, {
          user_id: this.#people[Number(second)]!.id,
        });
    }
  }

  async check(): Promise<void> {
    const history = await History.read(this.#owner, this.room);
    for (const client of this.clients) {
      await client.sync(this.#owner, 2, false);
      client.assertToldNothingHidden(history);
      if (client.stay === undefined) continue;
      await client.assertToldAll(history);
      assert.deepEqual(sorted(client.stay.state), sorted(await this.#stateFor(client.user)));
      const fresh = new Client(client.user, this.room);
      await fresh.sync(this.#owner, 1, false);
      assert.deepEqual(sorted(client.stay.state), sorted(fresh.stay!.state));
    }
  }

  async #stateFor(user: User): Promise<Map<string, string>> {
    const { body } = await user.call("GET", `rooms/${id(this.room)}/state`);
    return new Map((body as Event[]).map((event) => [slotOf(event), event.event_id]));
  }
}

const sorted = (map: ReadonlyMap<string, string>) => new Map([...map].sort());

Deno.test("sync() tells each client all that it may see, once, and nothing else", async () => {
  const stateDir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const server = startHomeserver({
    version: 1,
    listen: { hostname: "127.0.0.1", port: 0 },
    server_name: "x",
    state_dir: stateDir,
    registration_shared_secret: SECRET,
  });
  try {
    const owner = await registerAt(server.url, "owner");
    const people: User[] = [];
    for (const name of ["bob", "carol", "dave"]) people.push(await registerAt(server.url, name));
    await fc.assert(
      fc.asyncProperty(
        fc.array(action, { minLength: 1, maxLength: 60, size: "max" }),
        async (actions) => {
          const { body } = await owner.call("POST", "createRoom", {
            preset: "public_chat",
            power_level_content_override: { events: { "m.x": 0 } },
          });
          const world = new World(owner, people, body.room_id);
          for (const step of actions) await world.do(step);
          await world.check();
        },
      ),
      { numRuns: RUNS },
    );
  } finally {
    await server.close();
    await Deno.remove(stateDir, { recursive: true });
  }
});
