// SPDX-License-Identifier: Apache-2.0

/** Policies as the daemon finds them in Matrix, what they decide, and how it explains that. */
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import { EventType, type Template } from "../lib/schema/mod.ts";
import { registerWithSharedSecret } from "../messaging/mod.ts";
import { SECRET } from "../homeserver/_process.ts";
import { Bench, FLEET, SERVER_NAME, until } from "./bench_test.ts";
import { Daemon } from "./daemon.ts";

const template: Template = {
  description: "t",
  command: ["/bin/true"],
  authorization: { grants: [{ actions: ["matrix/read"] }] },
};
const LOCALPART = `${FLEET}/agent/a`;
const A = `@${LOCALPART}:${SERVER_NAME}`;
const KEY = A.slice(1);

const granted = (b: Bench) =>
  (b.launcher.policies.at(-1)?.grants ?? []).flatMap(({ actions }) => actions);

Deno.test("room policies hold at once, for operators too, and each decision names its rule", async (t) => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  await b.assign("agent/a", template);
  const { configRoom, operatorId, machine } = b.setup;
  const put = (key: string, policy: Record<string, unknown>) =>
    b.operator.putState(configRoom, EventType.authorization, key, policy);
  const client = b.client();
  const check = (actor: string, action: string, target?: string) =>
    client.call("checkAuthorization", {
      query: { actor, action, ...(target === undefined ? {} : { target }) },
    });
  try {
    await until(() => granted(b).includes("matrix/read"), "rights");

    await t.step("what a template grants is explained by its event", async () => {
      const { allowed, grant } = await check(A, "matrix/read");
      assert.equal(allowed, true);
      assert.equal(grant?.source, "template");
      assert.equal(grant?.event?.type, EventType.template);
      assert.equal(grant?.granted_by, operatorId);
    });

    await t.step("an operator is allowed by being one", async () => {
      const { allowed, grant, allowance, actor_kind } = await check(operatorId, "interrupt", A);
      assert.deepEqual([allowed, actor_kind, grant?.source, allowance?.source], [
        true,
        "operator",
        "operator",
        "operator",
      ]);
      assert.equal(grant?.event?.type, "m.room.power_levels");
    });

    await t.step("a policy about one principal, and one about everybody", async () => {
      const id = await put(KEY, { grants: [{ actions: ["http/x"], source: "template" }] });
      await until(() => granted(b).includes("http/x"), "hot");
      const { grant } = await check(A, "http/x");
      assert.deepEqual([grant?.source, grant?.event?.event_id], [`room:${configRoom}`, id]);
      await put("", { denials: [{ actions: ["http/**"] }] });
      await until(async () => !(await check(A, "http/x")).allowed, "denied");
      const { denial, reason } = await check(A, "http/x");
      assert.deepEqual([reason, denial?.source], ["explicit denial", "machine-default"]);
      await until(() => b.launcher.policies.at(-1)!.denials.length === 1, "its proxy knows");
      assert.equal(b.launcher.destroys.length, 0);
    });

    await t.step("a temporal grant, until it is taken back", async () => {
      const type = EventType.temporalGrant;
      const give = (key: string, content: Record<string, unknown>) =>
        b.operator.putState(configRoom, type, key, content);
      const expires_at = new Date(Date.now() + 3_600_000).toISOString();
      const principal = A;
      await give("g0", { version: 1, principal, grant: { actions: ["w"] } });
      await give("g1", { version: 1, principal, grant: { actions: ["v"], expires_at } });
      await until(() => granted(b).includes("v"), "hot");
      const { grant } = await check(A, "v");
      assert.deepEqual([grant?.source, grant?.ticket, grant?.event?.state_key], [
        "temporal",
        "g1",
        "g1",
      ]);
      assert.equal((await check(A, "w")).allowed, false, "one without an end is none");
      await give("g1", {});
      await until(() => !granted(b).includes("v"), "gone");
    });

    await t.step("a denial holds for an operator", async () => {
      // Control: it may.
      await client.call("metrics");
      await put(operatorId.slice(1), { denials: [{ actions: ["interrupt/**", "metrics"] }] });
      await until(async () => !(await check(operatorId, "interrupt", A)).allowed, "denied");
      const params = { principal: "agent/a" };
      await assert.rejects(client.call("freeze", { params }), { code: "forbidden" });
      await assert.rejects(client.call("kill", { params }), { code: "forbidden" });
      await assert.rejects(client.call("metrics"), { code: "forbidden" });
      assert.equal((await b.view("agent/a")).principal, LOCALPART);
      const { denials } = await client.call("authorizationOf", { query: { user: operatorId } });
      assert.ok(denials.some(({ source }) => source === `room:${configRoom}`));
      assert.equal((await client.call("list")).principals.length, 1, "it made no principal");
    });

    await t.step("who did what, who tried to, and what was granted is written down", async () => {
      const entries = await until(async () => {
        const text = await Deno.readTextFile(`${b.bootstrap.state_dir}/audit.jsonl`);
        const all = text.trim().split("\n").map((line) => JSON.parse(line));
        return all.some(({ details }) => details?.what === "kill") ? all : null;
      }, "written");
      const [frozen] = entries.filter(({ details }) => details?.what === "freeze");
      assert.deepEqual([frozen.decision, frozen.actor, frozen.action, frozen.target], [
        "deny",
        operatorId,
        "interrupt",
        A,
      ]);
      assert.ok(frozen.rules.includes(`room:${configRoom}`));
      const made = entries.filter(({ decision, rules }) =>
        decision === "grant_created" && rules[0] !== "temporal"
      );
      assert.deepEqual(made.map(({ action, actor, target }) => [action, actor, target]), [
        ["http/x", operatorId, A],
        ["http/**", operatorId, A],
      ]);
    });

    await t.step("what can't be read denies everything", async () => {
      await put(operatorId.slice(1), { denials: "all" });
      await until(async () => !(await check(operatorId, "observe", A)).allowed, "denied");
      await put(operatorId.slice(1), {});
      await until(async () => (await check(operatorId, "observe", A)).allowed, "allowed again");
    });

    await t.step("strangers are told of themselves only", async () => {
      const stranger = await registerWithSharedSecret(
        { homeserverUrl: b.setup.homeserver.url },
        { user: "stranger", password: "p" },
        SECRET,
      );
      const theirs = b.client(stranger.access_token);
      const ask = (user: string) => theirs.call("authorizationOf", { query: { user } });
      assert.deepEqual((await ask(stranger.user_id)).grants, []);
      await assert.rejects(ask(A), { code: "forbidden" });
      await assert.rejects(ask(machine), { code: "forbidden" });
      theirs.close();
    });
  } finally {
    client.close();
  }
});

Deno.test("a grant for a while that runs out while the daemon is down isn't there after", async () => {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  await b.assign("agent/a", template, {
    authorization: { grants: [{ actions: ["http/x"], expires_at, ticket: "t1" }] },
  });
  await until(() => granted(b).includes("http/x"), "in force");
  await b.stopDaemon();

  const pushed = b.launcher.policies.length;
  const later = { ...systemClock, now: () => Date.now() + 7_200_000 };
  const log = createLogger("test", {}, () => {});
  const daemon = new Daemon({ bootstrap: b.bootstrap, log, clock: later });
  const stop = new AbortController();
  const running = daemon.run(stop.signal);
  try {
    const ask = async () => {
      const query = new URLSearchParams({ actor: A, action: "http/x" });
      const response = await daemon.handler(
        new Request(`http://daemon/v1/authorization/check?${query}`, {
          headers: { authorization: `Bearer ${b.setup.operatorToken}` },
        }),
      );
      return await response.json();
    };
    await until(() => b.launcher.policies.length > pushed, "rights of the new daemon");
    assert.deepEqual(granted(b), ["matrix/read"]);
    const decision = await ask();
    assert.deepEqual([decision.allowed, decision.reason, decision.grant.ticket], [
      false,
      "matching grant expired",
      "t1",
    ]);
    assert.equal(b.launcher.destroys.length, 0, "the agent ran on");
  } finally {
    stop.abort();
    await running;
  }
});
