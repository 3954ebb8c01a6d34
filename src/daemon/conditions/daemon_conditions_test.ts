// SPDX-License-Identifier: Apache-2.0

/** Start conditions, with the real daemon and homeserver; only the launcher keeps books. */
import assert from "node:assert/strict";
import type { Assignment, Template } from "../../lib/schema/mod.ts";
import { createMatrixClient, registerWithSharedSecret } from "../../messaging/mod.ts";
import { SECRET } from "../../homeserver/_process.ts";
import { Bench, FLEET, SERVER_NAME, until } from "../bench_test.ts";

const template: Template = { description: "t", command: ["/bin/true"] };
const TYPE = "org.example.workspace";
const ALIAS = `#work:${SERVER_NAME}`;
const WHEN_ACTIVE: Partial<Assignment> = {
  start_condition: {
    event_type: TYPE,
    room_alias: ALIAS,
    content_match: { status: { $in: ["active", "hot"] } },
  },
};
const name = (account: string) => `${FLEET}/${account}`;

const viewed = (b: Bench, account: string, phase: string) =>
  until(async () => {
    // Nobody is known before the first sync.
    const view = await b.view(account).catch(() => null);
    return view?.phase === phase ? view : null;
  }, `${account} is ${phase}`);

const room = (b: Bench) =>
  b.operator.createRoom({
    room_alias_name: "work",
    invite: [b.setup.machine],
    power_level_content_override: {
      users: { [b.setup.operatorId]: 100 },
      state_default: 0,
    },
  });

Deno.test("a principal runs while the state it waits for is there and matches", async (t) => {
  await using b = await Bench.start();
  await b.publish("t", template);
  const { launcher, operator } = b;
  await b.startDaemon();
  await b.assign("agent/a", template, WHEN_ACTIVE);
  await b.assign("agent/plain", template);
  await viewed(b, "agent/plain", "running");
  const say = (status: unknown, key = "") => operator.putState(work, TYPE, key, { status });
  let work = "";

  await t.step("a room that is not there yet is waited for, and looked for again", async () => {
    const view = await viewed(b, "agent/a", "waiting");
    assert.match(view.message!, /^waiting: Cannot find the room "#work:/);
    assert.equal(view.desired, "running");
    work = await room(b);
    await until(
      async () => /there is none$/.test((await b.view("agent/a")).message ?? ""),
      "the room is found",
    );
    const status = await until(
      async () => (await b.status("agent/a"))?.["phase"] === "waiting",
      "published",
    );
    assert.ok(status);
  });

  await t.step("other content and another key leave it waiting, and say why", async () => {
    await say("pending");
    await until(
      async () =>
        /workspace in #work:.*: it does not match \{"status"/.test(
          (await b.view("agent/a")).message ?? "",
        ),
      "told",
    );
    await say("active", "other");
    await say("pending2");
    assert.deepEqual(launcher.creates.map(({ assignment }) => assignment.principal), [
      `@${name("agent/plain")}:${SERVER_NAME}`,
    ]);
  });

  await t.step("what matches starts it, with the event as its trigger", async () => {
    await say("active");
    await viewed(b, "agent/a", "running");
    const { trigger } = launcher.creates.at(-1)!;
    assert.ok(trigger !== undefined && trigger.event_id?.startsWith("$"));
    assert.ok(trigger.origin_server_ts! > 0);
    assert.deepEqual(
      { ...trigger, event_id: "", origin_server_ts: 0 },
      {
        type: TYPE,
        state_key: "",
        room_id: work,
        sender: b.setup.operatorId,
        event_id: "",
        origin_server_ts: 0,
        content: { status: "active" },
      },
    );
    assert.equal(launcher.creates[0]!.trigger, undefined);
  });

  await t.step("other content that matches too leaves it running", async () => {
    const creates = launcher.creates.length;
    await say("hot");
    // Told in order: when the second has arrived, so has the first.
    await b.assign("agent/later", template, {
      start_condition: { ...WHEN_ACTIVE.start_condition!, content_match: { status: "hot" } },
    });
    await viewed(b, "agent/later", "running");
    assert.equal(launcher.creates.length, creates + 1);
    assert.deepEqual(launcher.destroys, []);
  });

  await t.step("a daemon that starts anew finds the condition as it was", async () => {
    await b.stopDaemon();
    await b.startDaemon();
    await viewed(b, "agent/a", "running");
    assert.deepEqual(launcher.destroys, []);
  });

  await t.step("when it ceases to match, it is asked to end, and waits again", async () => {
    await say("teardown");
    await viewed(b, "agent/a", "waiting");
    assert.deepEqual(launcher.destroys.find((one) => one.principal === name("agent/a")), {
      principal: name("agent/a"),
      grace: "10000",
    });
    await say("active");
    await viewed(b, "agent/a", "running");
  });

  await t.step("a cleared event is none, also when nobody was there to see it", async () => {
    await b.stopDaemon();
    await operator.putState(work, TYPE, "", {});
    await b.startDaemon();
    await viewed(b, "agent/a", "waiting");
    assert.ok(!launcher.cells.has(name("agent/a")));
    assert.ok(launcher.cells.has(name("agent/plain")));
  });

  await t.step("put out of the room, the machine knows of nothing there", async () => {
    await say("active");
    await viewed(b, "agent/a", "running");
    await operator.request("POST", `/_matrix/client/v3/rooms/${work}/kick`, {
      what: "kick the machine",
      body: { user_id: b.setup.machine },
    });
    const view = await viewed(b, "agent/a", "waiting");
    assert.match(view.message!, /this machine is not invited/);
  });
});

Deno.test("a one-shot runs once for its assignment, however often its condition comes (W-14)", async () => {
  await using b = await Bench.start();
  await b.publish("t", template);
  const { launcher, operator } = b;
  const work = await room(b);
  const say = (status: string) => operator.putState(work, TYPE, "", { status });
  await say("active");
  await b.startDaemon();
  const once = { ...WHEN_ACTIVE, restart_policy: "on-failure" as const };
  await b.assign("agent/once", template, once);
  await viewed(b, "agent/once", "running");
  // As such a one does: it writes that it is done, and ends.
  await say("done");
  launcher.exit(name("agent/once"), 0);
  await viewed(b, "agent/once", "exited");
  await until(async () => (await b.status("agent/once"))?.["phase"] === "exited", "published");
  await say("active");
  await b.assign("agent/other", template, WHEN_ACTIVE);
  await viewed(b, "agent/other", "running");
  await b.stopDaemon();
  await b.startDaemon();
  await viewed(b, "agent/once", "exited");
  await operator.putState(b.setup.configRoom, "m.bureau.authorization", "", { grants: [] });
  await b.assign("agent/other2", template, WHEN_ACTIVE);
  await viewed(b, "agent/other2", "running");
  const runs = () =>
    launcher.creates.filter(({ assignment }) => assignment.principal.includes("agent/once"));
  assert.equal(runs().length, 1);
  // Signed again, it runs again.
  await b.assign("agent/once", template, once);
  await viewed(b, "agent/once", "running");
});

Deno.test("a condition may be about another principal's status in the config room", async () => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  await b.assign("agent/second", template, {
    start_condition: {
      event_type: "m.bureau.principal_status",
      state_key: `${name("agent/first")}:${SERVER_NAME}`,
      content_match: { phase: "exited", exit_code: 0 },
    },
  });
  await viewed(b, "agent/second", "waiting");
  await b.assign("agent/first", template, { restart_policy: "never" });
  await viewed(b, "agent/first", "running");
  assert.equal(b.launcher.creates.length, 1);
  b.launcher.exit(name("agent/first"), 0);
  await viewed(b, "agent/second", "running");
});

Deno.test("state of a member without rights there counts where the room lets them write it", async () => {
  await using b = await Bench.start();
  await b.publish("t", template);
  const work = await room(b);
  await b.startDaemon();
  await b.assign("agent/a", template, WHEN_ACTIVE);
  await viewed(b, "agent/a", "waiting");
  const at = { homeserverUrl: b.setup.homeserver.url };
  const guest = await registerWithSharedSecret(
    at,
    { user: "guest", password: "guests own" },
    SECRET,
  );
  const client = createMatrixClient({ ...at, accessToken: guest.access_token });
  await b.operator.request("POST", `/_matrix/client/v3/rooms/${work}/invite`, {
    what: "invite",
    body: { user_id: guest.user_id },
  });
  await client.join(work);
  await client.putState(work, TYPE, "", { status: "active" });
  await viewed(b, "agent/a", "running");
  assert.equal(b.launcher.creates.at(-1)!.trigger!.sender, guest.user_id);
});
