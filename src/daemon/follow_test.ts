// SPDX-License-Identifier: Apache-2.0

/** Services that follow the real daemon's event stream, over its socket, on a real homeserver. */
import assert from "node:assert/strict";
import type { Template } from "../lib/schema/mod.ts";
import {
  createMatrixClient,
  type FollowedEvent,
  followEvents,
  type MatrixClient,
  MessagingError,
  readRoomState,
  registerWithSharedSecret,
} from "../messaging/mod.ts";
import { SECRET } from "../homeserver/_process.ts";
import { Bench, FLEET, until } from "./bench_test.ts";

const template: Template = {
  command: ["/bin/true"],
  authorization: { grants: [{ actions: ["matrix/read"] }] },
};

interface Account {
  readonly id: string;
  readonly token: string;
  readonly client: MatrixClient;
}

async function account(b: Bench, user: string): Promise<Account> {
  const homeserverUrl = b.setup.homeserver.url;
  const account = { user, password: `password of ${user}` };
  const session = await registerWithSharedSecret({ homeserverUrl }, account, SECRET);
  const token = session.access_token;
  const client = createMatrixClient({ homeserverUrl, accessToken: token });
  return { id: session.user_id, token, client };
}

/** A service that writes down what it is told. */
class Service implements AsyncDisposable {
  readonly seen: string[] = [];
  readonly ended: Promise<unknown>;
  readonly #stop = new AbortController();

  constructor(b: Bench, token: string, rooms?: string[]) {
    const socket = `${b.setup.run}/daemon/daemon.sock`;
    this.ended = (async () => {
      try {
        const types = ["m.room.message", "org.test.state"];
        const more = rooms === undefined ? {} : { rooms };
        const signal = this.#stop.signal;
        for await (const one of followEvents({ socket, token, types, signal, ...more })) {
          this.seen.push(textOf(one));
        }
        return null;
      } catch (thrown) {
        return thrown;
      }
    })();
  }

  async sees(text: string): Promise<void> {
    await until(() => this.seen.includes(text), `"${text}" among ${JSON.stringify(this.seen)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    assert.equal(await this.ended, null);
  }
}

const textOf = (one: FollowedEvent) =>
  one.kind === "event"
    ? `${one.event.type}: ${one.event.content["body"] ?? one.event.content["n"]}`
    : one.kind;

Deno.test("the daemon serves its sync to services, each its own rooms", async (t) => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  const { operator, operatorToken, machine, operatorId } = b.setup;
  const [one, two, denied, stranger] = await Promise.all([
    account(b, `${FLEET}/agent/one`),
    account(b, `${FLEET}/agent/two`),
    account(b, `${FLEET}/agent/denied`),
    account(b, "stranger"),
  ]);
  await b.assign("agent/one", template);
  await b.assign("agent/two", template);
  await b.assign("agent/denied", template, {
    authorization: { denials: [{ actions: ["matrix/**"] }] },
  });
  for (const name of ["one", "two", "denied"]) {
    await until(async () => (await b.status(`agent/${name}`))?.["phase"] === "running", name);
  }
  const room = await operator.createRoom({
    invite: [machine, one.id, denied.id, stranger.id],
    power_level_content_override: { users: { [operatorId]: 100 }, state_default: 0 },
  });
  for (const { client } of [one, denied, stranger]) await client.join(room);
  await until(async () => (await operator.members(room)).includes(machine), "the machine came");
  let n = 0;
  const say = (body: string) =>
    operator.send(room, "m.room.message", { msgtype: "m.text", body }, `t${n++}`);

  await t.step("an operator and a principal of the machine see their room's events", async () => {
    await using first = new Service(b, one.token);
    await using second = new Service(b, operatorToken, [room]);
    await using other = new Service(b, two.token);
    for (const service of [first, second, other]) await service.sees("reset");
    await say("hello");
    await operator.putState(room, "org.test.state", "", { n: 7 });
    for (const service of [first, second]) {
      await service.sees("m.room.message: hello");
      await service.sees("org.test.state: 7");
    }
    // It came to the room after that; what it sees next is the first it sees of it.
    await operator.invite(room, two.id);
    await two.client.join(room);
    await say("welcome");
    await other.sees("m.room.message: welcome");
    assert.equal(other.seen.includes("m.room.message: hello"), false);
    await operator.kick(room, two.id);
    await say("without you");
    await first.sees("m.room.message: without you");
    assert.equal(other.seen.includes("m.room.message: without you"), false);
  });

  const socket = `${b.setup.run}/daemon/daemon.sock`;

  await t.step("state is read by who is in the room, and by nobody else", async () => {
    const state = await readRoomState({ socket, token: one.token }, room);
    assert.deepEqual(state.find(({ type }) => type === "org.test.state")?.content, { n: 7 });
    for (
      const [name, token, code] of [
        ["put out", two.token, "not-found"],
        ["denied", denied.token, "forbidden"],
        ["a stranger", stranger.token, "forbidden"],
        ["nobody", "wrong", "unauthenticated"],
      ] as const
    ) {
      await assert.rejects(readRoomState({ socket, token }, room), { code }, name);
    }
  });

  await t.step("who has no right is refused, also when in the room", async () => {
    for (const { token } of [denied, stranger, { token: "wrong" }]) {
      const service = new Service(b, token);
      const why = await service.ended;
      assert.ok(why instanceof MessagingError);
      assert.match(why.code, /^(forbidden|unauthenticated)$/);
      assert.deepEqual(service.seen, []);
    }
  });

  await t.step("a right that is taken away ends the stream", async () => {
    const service = new Service(b, one.token);
    await service.sees("reset");
    await b.assign("agent/one", template, {
      authorization: { denials: [{ actions: ["matrix/read"] }] },
    });
    // Cut off at the latest when there is something that it may not see any more.
    let ended = false;
    const why = service.ended.then((thrown) => {
      ended = true;
      return thrown;
    });
    await until(async () => {
      await say(`secret ${n}`);
      return ended;
    }, "ended");
    assert.equal((await why as MessagingError).code, "forbidden");
  });

  await t.step("a service finds the next daemon, and is told to begin anew", async () => {
    await using service = new Service(b, operatorToken, [room]);
    await service.sees("reset");
    await say("before");
    await service.sees("m.room.message: before");
    await b.stopDaemon();
    await b.startDaemon();
    // Its first sync is one more reason to begin anew: what is said before it counts as old.
    const client = b.client();
    await until(async () => (await client.call("status")).sync.state === "ok", "synced");
    client.close();
    await until(
      () => service.seen.filter((text) => text === "reset").length >= 2,
      "second reset",
    );
    await say("after");
    await service.sees("m.room.message: after");
    assert.equal(service.seen.filter((text) => text.endsWith(": before")).length, 1);
  });
});
