// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import { createLogger } from "../../lib/log.ts";
import { WebAccess, WebAccessError } from "./access.ts";
import { openStore } from "./store.ts";

const log = createLogger("test", {}, () => {});
const USER = "@operator:test";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

async function withAccess(
  use: (bench: {
    access: WebAccess;
    clock: HandClock;
    dir: string;
    again: () => Promise<WebAccess>;
  }) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-web" });
  try {
    const clock = new HandClock();
    const again = async () => new WebAccess(await openStore(dir, log), clock);
    await use({ access: await again(), clock, dir, again });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const code = (wanted: string) => (thrown: unknown) =>
  thrown instanceof WebAccessError && thrown.code === wanted;

Deno.test("a link logs one browser in, once, and within ten minutes", async () => {
  await withAccess(async ({ access, clock }) => {
    const { token } = await access.issue({ kind: "link", name: "link", user: USER });
    const { cookie, session } = await access.login(token);
    assert.equal(session.user, USER);
    assert.equal((await access.session(cookie))?.user, USER);
    await assert.rejects(access.login(token), code("bad-login"));

    const late = await access.issue({ kind: "link", name: "link", user: USER });
    clock.advance(10 * MINUTE);
    await assert.rejects(access.login(late.token), code("bad-login"));
    assert.ok(await access.session(cookie), "the login outlives the link");
  });
});

Deno.test("of two logins by one link at once, one succeeds", async () => {
  await withAccess(async ({ access }) => {
    const { token } = await access.issue({ kind: "link", name: "link", user: USER });
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => access.login(token)));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
  });
});

Deno.test("what is kept are digests: no secret stands in the file, which its owner alone may read", async () => {
  await withAccess(async ({ access, dir, again }) => {
    const { token } = await access.issue({ kind: "token", name: "t", user: USER, forMs: HOUR });
    const { cookie } = await access.login(token);
    const text = await Deno.readTextFile(`${dir}/web.json`);
    assert.ok(!text.includes(token) && !text.includes(token.slice(4)) && !text.includes(cookie));
    assert.equal((await Deno.stat(`${dir}/web.json`)).mode! & 0o777, 0o600);
    // Another life of the daemon knows them both.
    const next = await again();
    assert.equal((await next.session(cookie))?.user, USER);
    await next.login(token);
  });
});

Deno.test("a session ends when nobody uses it, at the latest after a week, and with its token", async () => {
  await withAccess(async ({ access, clock }) => {
    const day = 24 * HOUR;
    const long = await access.issue({ kind: "token", name: "t", user: USER, forMs: 90 * day });
    const idle = await access.login(long.token);
    clock.advance(12 * HOUR);
    assert.equal(await access.session(idle.cookie), null);

    const used = await access.login(long.token);
    for (let hours = 0; hours < 7 * 24 - 6; hours += 6) {
      clock.advance(6 * HOUR);
      assert.ok(await access.session(used.cookie), `after ${hours + 6} hours`);
    }
    clock.advance(6 * HOUR);
    assert.equal(await access.session(used.cookie), null);

    const short = await access.issue({ kind: "token", name: "t", user: USER, forMs: HOUR });
    const { cookie, session } = await access.login(short.token);
    clock.advance(HOUR);
    assert.equal(access.holds(session), false);
    assert.equal(await access.session(cookie), null);
    await assert.rejects(access.login(short.token), code("bad-login"));
  });
});

Deno.test("revoking ends every session that came by it, and no other", async () => {
  await withAccess(async ({ access }) => {
    const one = await access.issue({ kind: "token", name: "one", user: USER, forMs: HOUR });
    const two = await access.issue({ kind: "token", name: "two", user: USER, forMs: HOUR });
    const link = await access.issue({ kind: "link", name: "link", user: USER });
    const [a, b, other, linked] = [
      await access.login(one.token),
      await access.login(one.token),
      await access.login(two.token),
      await access.login(link.token),
    ];
    assert.equal(await access.revoke(one.id, ["share"]), null, "not as another kind");
    assert.equal(await access.revoke(one.id, ["token", "link"]), 2);
    for (const { session, cookie } of [a, b]) {
      assert.equal(access.holds(session), false);
      assert.equal(await access.session(cookie), null);
    }
    await assert.rejects(access.login(one.token), code("bad-login"));
    assert.ok(access.holds(other.session));
    // Also a login by a link that is spent, by the link's id.
    assert.equal(await access.revoke(link.id, ["token", "link"]), 1);
    assert.equal(access.holds(linked.session), false);
  });
});

Deno.test("a shared link is for one agent, for many browsers, until it is over", async () => {
  await withAccess(async ({ access, clock }) => {
    const share = await access.issue({
      ...{ kind: "share", name: "a", user: USER, principal: "x/a" },
      forMs: HOUR,
    });
    const first = await access.login(share.token);
    const second = await access.login(share.token);
    assert.deepEqual([first.session.principal, second.session.kind], ["x/a", "share"]);
    assert.equal(access.list(["share"])[0]!.sessions, 2);
    clock.advance(HOUR);
    assert.equal(access.holds(first.session), false);
    assert.deepEqual(access.list(["share"]), []);
    await assert.rejects(access.login(share.token), code("bad-login"));
  });
});

Deno.test("logins that fail are slowed down; those that are right are not", async () => {
  await withAccess(async ({ access, clock }) => {
    const { token } = await access.issue({ kind: "token", name: "t", user: USER, forMs: HOUR });
    const codes: string[] = [];
    for (let n = 0; n < 30; n++) {
      await access.login(`bwt_wrong${n}`).catch((thrown) => codes.push(thrown.code));
    }
    assert.equal(codes.filter((one) => one === "bad-login").length, 20);
    assert.equal(codes.at(-1), "slow-down");
    await access.login(token);
    clock.advance(3_000);
    await assert.rejects(access.login("bwt_wrong"), code("bad-login"));
    await assert.rejects(access.login("bwt_wrong"), code("slow-down"));
  });
});

Deno.test("nothing is given out for longer than its kind allows", async () => {
  await withAccess(async ({ access }) => {
    const issue = (kind: "token" | "share", forMs: number) =>
      access.issue({ ...{ kind, name: "n", user: USER }, forMs });
    await issue("share", 30 * 24 * HOUR);
    for (
      const [kind, ms] of [["share", 31 * 24 * HOUR], ["token", 400 * 24 * HOUR], [
        "token",
        0,
      ]] as const
    ) await assert.rejects(issue(kind, ms), code("bad-time"));
    await assert.rejects(issue("token", NaN), code("bad-time"));
  });
});

Deno.test("a damaged file logs everybody out, and is written anew", async () => {
  await withAccess(async ({ access, dir, again }) => {
    const { token } = await access.issue({ kind: "token", name: "t", user: USER, forMs: HOUR });
    await Deno.writeTextFile(`${dir}/web.json`, '{"version":1,"grants":');
    const next = await again();
    await assert.rejects(next.login(token), code("bad-login"));
    const { token: another } = await next.issue({ kind: "link", name: "l", user: USER });
    await (await again()).login(another);
  });
});
