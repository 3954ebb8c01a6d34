// SPDX-License-Identifier: Apache-2.0

/** The parts of `Services` one by one; tests/e2e/services_test.ts has the whole. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Clock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { EventType, type ProxyPolicy } from "../../lib/schema/mod.ts";
import {
  type ServiceTrust,
  TOKEN_LIFE_MS,
  tokenKeyId,
  TokenVerifier,
} from "../../lib/token/mod.ts";
import { RoomStates } from "../../messaging/mod.ts";
import {
  announced,
  bindingOf,
  type DirectoryContext,
  machineOf,
  publishedTrust,
} from "./directory.ts";
import { type DatedKey, keysAt, LEAD_MS, ROTATE_MS, SigningKeys } from "./keys.ts";
import { ServiceNotices } from "./notices.ts";
import { Revocations } from "./revocations.ts";
import { Seat } from "./seat.ts";

const SERVER = "bureau.local";
const FLEET = "bureau/fleet/dev";
const MACHINE = `@${FLEET}/machine/one:${SERVER}`;
const TWO = `@${FLEET}/machine/two:${SERVER}`;
const ADMIN = `@operator:${SERVER}`;
const MALLORY = `@${FLEET}/agent/mallory:${SERVER}`;
const ECHO = `@${FLEET}/service/echo:${SERVER}`;
const NOW = 1_800_000_000_000;
const log = createLogger("test", {}, () => {});

function clockAt(start: number): Clock & { time: number } {
  return {
    time: start,
    now() {
      return this.time;
    },
    sleep: () => Promise.resolve(),
  };
}

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-sv" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function directory(events: readonly [string, string, string, string, object][]): DirectoryContext {
  const states = new RoomStates();
  for (const [room, type, key, sender, content] of events) {
    states.apply(room, {
      type,
      state_key: key,
      sender,
      content: content as Record<string, unknown>,
      event_id: `$${Math.random()}`,
      origin_server_ts: 0,
    });
  }
  return { states, machine: MACHINE, admins: [ADMIN], fleet: FLEET, serverName: SERVER };
}

const levels: [string, object] = ["m.room.power_levels", { users: { [ADMIN]: 100 } }];

Deno.test("a role is what an admin says in the caller's room, else in the machine's", () => {
  const bind = (principal: string) => ({ version: 1, principal });
  const OTHER = `@${FLEET}/service/other:${SERVER}`;
  const context = directory([
    ["!config", levels[0], "", ADMIN, levels[1]],
    ["!work", levels[0], "", ADMIN, levels[1]],
    ["!config", EventType.serviceBinding, "echo", ADMIN, bind(ECHO)],
    ["!work", EventType.serviceBinding, "echo", ADMIN, bind(OTHER)],
    ["!config", EventType.serviceBinding, "stolen", MALLORY, bind(ECHO)],
    ["!config", EventType.serviceBinding, "far", ADMIN, bind("@x/fleet/y/service/z:elsewhere")],
    ["!config", EventType.serviceBinding, "cleared", ADMIN, {}],
  ]);
  const of = (role: string, ...rooms: (string | undefined)[]) =>
    bindingOf(context, role, rooms)?.service ?? null;
  assert.equal(of("echo", "!work", "!config"), OTHER);
  assert.equal(of("echo", undefined, "!config"), ECHO);
  assert.equal(of("echo", "!nowhere", "!config"), ECHO);
  for (const role of ["stolen", "far", "cleared", "none"]) assert.equal(of(role, "!config"), null);
});

Deno.test("keys and services count by the word of their own machine alone (W-4)", () => {
  const key = (machine: string, public_key: string, more: object = {}) => ({
    ...{ version: 1, machine, public_key },
    ...more,
  });
  const [a, b, c] = ["aa", "bb", "cc"].map((byte) => byte.repeat(32)) as [string, string, string];
  const context = directory([
    [
      "!system",
      EventType.tokenSigningKey,
      TWO.slice(1),
      TWO,
      key(TWO, a, {
        others: [{ public_key: b, until: NOW }],
        revoked: [{ subject: ECHO, until: NOW }],
      }),
    ],
    // Another machine's, an agent's in a machine's name, an agent's own, an admin's, another server's.
    ["!system", EventType.tokenSigningKey, MACHINE.slice(1), TWO, key(MACHINE, c)],
    ["!system", EventType.tokenSigningKey, MALLORY.slice(1), MALLORY, key(MALLORY, c)],
    ["!system", EventType.tokenSigningKey, `${FLEET}/machine/three:${SERVER}`, ADMIN, {
      ...key(`@${FLEET}/machine/three:${SERVER}`, c),
    }],
    ["!service", EventType.service, ECHO.slice(1), TWO, { principal: ECHO, machine: TWO }],
    ["!service", EventType.service, MALLORY.slice(1), MALLORY, {
      principal: MALLORY,
      machine: MACHINE,
    }],
  ]);
  assert.deepEqual(publishedTrust(context, "!system"), {
    keys: [
      { id: tokenKeyId(a), machine: TWO, public_key: a },
      { id: tokenKeyId(b), machine: TWO, public_key: b, until: NOW },
    ],
    revoked: { [TWO]: [{ subject: ECHO, until: NOW }] },
  });
  for (const key of ["garbage", "", "a:b", `../x:${SERVER}`]) {
    const content = { principal: `@${key}`, machine: TWO };
    context.states.apply("!service", {
      ...{ type: EventType.service, state_key: key, sender: TWO, content },
      ...{ event_id: "$x", origin_server_ts: 0 },
    });
  }
  assert.deepEqual([...announced(context, "!service").keys()], [ECHO]);
  assert.equal(machineOf(context, "!service", ECHO), TWO);
  assert.equal(machineOf(context, "!service", MALLORY), null);
});

Deno.test("operators are told of a role without a service once, and of what changed in the directory", () => {
  const said: [string, Record<string, unknown>][] = [];
  const notices = new ServiceNotices((body, content) => said.push([body, { ...content }]));
  const A = `${FLEET}/agent/a`;
  for (const bound of [false, false, true, false]) notices.role(A, "echo", bound);
  assert.deepEqual(
    said.splice(0),
    Array(2).fill([
      "agent/a needs the role echo, and no service fills it. To bind one: bureau service bind echo NAME",
      { "m.bureau.service_unbound": { version: 1, principal: A, role: "echo" } },
    ]),
  );
  const [one, two] = [`@${FLEET}/service/one:${SERVER}`, `@${FLEET}/service/two:${SERVER}`];
  notices.directory(new Map([[one, "1"]]));
  notices.directory(new Map([[one, "1"]]));
  assert.equal(said.length, 0, "what was there is no news");
  notices.directory(new Map([[one, "2"], [two, "1"]]));
  notices.directory(new Map([[two, "1"]]));
  assert.deepEqual(said.map(([body]) => body), [
    "services of the fleet: new: service/two; changed: service/one",
    "services of the fleet: gone: service/one",
  ]);
  assert.deepEqual(said[1]![1], {
    "m.bureau.service_directory_updated": {
      ...{ version: 1, added: [], removed: [one.slice(1)], updated: [] },
    },
  });
});

Deno.test("every token's key is published before it signs, and until the token ends", () => {
  const week = fc.array(fc.nat(3 * ROTATE_MS), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(week, fc.nat(30 * ROTATE_MS), (gaps, at) => {
    let from = 0;
    const keys = gaps.map((gap, index): DatedKey => {
      from = index === 0 ? 0 : from + LEAD_MS + gap;
      return { publicKey: `${index}`, privateJwk: {}, from };
    });
    const publishedAt = (now: number) => {
      const { signs, others } = keysAt(keys, now);
      return [signs.publicKey, ...others.map(({ public_key }) => public_key)];
    };
    const { signs, changesAt } = keysAt(keys, at);
    assert.ok(signs.from <= at && changesAt > at || keys.at(-1) === signs);
    assert.ok(publishedAt(at + TOKEN_LIFE_MS).includes(signs.publicKey));
    if (signs.from > 0) assert.ok(publishedAt(signs.from - LEAD_MS).includes(signs.publicKey));
  }));
});

Deno.test("keys are made, kept over restarts, replaced in time and forgotten", async () => {
  await inDirectory(async (dir) => {
    const keys = new SigningKeys(dir);
    assert.equal(await keys.exist(), false);
    const first = await keys.at(NOW);
    assert.equal(first.others.length, 0);
    const { mode } = await Deno.stat(`${dir}/token-keys.json`);
    assert.equal(mode! & 0o777, 0o600);
    const same = await new SigningKeys(dir).at(NOW + 1);
    assert.equal(same.signs.publicKey, first.signs.publicKey);
    const soon = await keys.at(first.changesAt);
    assert.equal(soon.signs.publicKey, first.signs.publicKey);
    assert.equal(soon.others.length, 1);
    const next = await keys.at(soon.changesAt);
    assert.equal(next.signs.publicKey, soon.others[0]!.public_key);
    assert.equal(next.others[0]!.public_key, first.signs.publicKey);
    assert.equal((await keys.at(next.changesAt)).others.length, 0);
    const stored = JSON.parse(await Deno.readTextFile(`${dir}/token-keys.json`));
    assert.equal(stored.keys.length, 1);

    await Deno.writeTextFile(`${dir}/token-keys.json`, '{"keys":"secret');
    await assert.rejects(new SigningKeys(dir).at(NOW), (thrown: Error) => {
      assert.ok(!thrown.message.includes("secret"));
      return (thrown as { code?: string }).code === "bad-token-keys";
    });
  });
});

Deno.test("a revocation stays as long as a token that it means, and no longer", () => {
  const revocations = new Revocations();
  revocations.restore([{ subject: ECHO, until: NOW - 1_000 }]);
  revocations.add(MALLORY, NOW);
  revocations.add(MALLORY, NOW + 5);
  assert.deepEqual(revocations.at(NOW + TOKEN_LIFE_MS), [
    { subject: ECHO, until: NOW - 1_000 },
    { subject: MALLORY, until: NOW + 5 },
  ]);
  const end = revocations.changesAt;
  assert.equal(revocations.at(end).length, 1);
  assert.equal(revocations.at(end + TOKEN_LIFE_MS).length, 0);
  assert.equal(revocations.changesAt, Infinity);
});

Deno.test("tokens over 24 hours: one good at every moment, nothing left behind; each change revokes", async () => {
  await inDirectory(async (dir) => {
    const clock = clockAt(NOW);
    const keys = new SigningKeys(dir);
    const service = `${dir}/service`;
    await Deno.mkdir(service);
    const seat = () =>
      new Seat({
        ...{ dir: service, principal: `${FLEET}/agent/a`, user: MALLORY, machine: MACHINE },
        offer: () => Promise.reject(new Error("none")),
        ...{ clock, log },
      });
    const revocations = new Revocations();
    const policy = (...actions: string[]): ProxyPolicy => ({ grants: [{ actions }], denials: [] });
    const verifier = new TokenVerifier({
      now: () => clock.time,
      trust: async (): Promise<ServiceTrust> => {
        const { signs, others } = await keys.at(clock.time);
        return {
          ...{ version: 1, service: ECHO },
          keys: [{ public_key: signs.publicKey }, ...others].map((one) => ({
            ...{ id: tokenKeyId(one.public_key), machine: MACHINE },
            ...one,
          })),
          revoked: { [MACHINE]: [...revocations.at(clock.time)] },
        };
      },
    });
    const token = () => Deno.readTextFile(`${service}/token/echo.token`);
    const revoke = () => revocations.add(MALLORY, clock.time);
    const update = async (of: Seat, rights: ProxyPolicy, to: string | null = ECHO) => {
      const { signs } = await keys.at(clock.time);
      await of.update(new Map([["echo", to]]), { key: signs, policy: rights }, revoke);
    };
    const first = seat();
    try {
      const seen = new Set<string>();
      for (; clock.time < NOW + 24 * 3_600_000; clock.time += 60_000) {
        if (clock.time >= first.refreshAt || seen.size === 0) {
          await update(first, policy("service/echo/say"));
        }
        const now = await token();
        (await verifier.verify(now)).require("say");
        seen.add(now);
      }
      assert.equal(seen.size, 360, "one every four minutes");
      assert.equal(revocations.changesAt, Infinity);
      const names = [...Deno.readDirSync(service)].map(({ name }) => name).sort();
      assert.deepEqual(names, ["echo.sock", "token"]);
      assert.deepEqual([...Deno.readDirSync(`${service}/token`)].map(({ name }) => name), [
        "echo.token",
      ]);

      const wide = await token();
      await update(first, policy("service/echo/listen"));
      await assert.rejects(verifier.verify(wide), { code: "token-revoked" });
      const narrow = await verifier.verify(await token());
      assert.throws(() => narrow.require("say"), { code: "not-granted" });
      // What doesn't concern the role is no change.
      const before = await token();
      await update(first, { ...policy("service/echo/listen"), denials: [{ actions: ["http/x"] }] });
      assert.equal(await token(), before);
      // Another service: the old token is for nobody.
      await update(first, policy("service/echo/listen"), MALLORY);
      await assert.rejects(verifier.verify(await token()), { code: "token-audience" });
      await update(first, policy("service/echo/listen"), null);
      await assert.rejects(token(), Deno.errors.NotFound);
      await update(first, policy("service/echo/listen"));
      const last = await token();
      await verifier.verify(last);
      first.close();
      // The next life of the daemon knows nothing of what that token says.
      clock.time += 1_000;
      const second = seat();
      await update(second, policy());
      await assert.rejects(verifier.verify(last), { code: "token-revoked" });
      await verifier.verify(await token());
      second.close();
    } finally {
      first.close();
    }
  });
});
