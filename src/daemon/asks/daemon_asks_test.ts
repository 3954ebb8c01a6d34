// SPDX-License-Identifier: Apache-2.0

/** Ask mode in the daemon process, with a homeserver: who may decide, by which way, and what a restart does. */
import assert from "node:assert/strict";
import type { Template } from "../../lib/schema/mod.ts";
import {
  createMatrixClient,
  inReplyTo,
  react,
  registerWithSharedSecret,
} from "../../messaging/mod.ts";
import { SECRET } from "../../homeserver/_process.ts";
import { Bench, FLEET, until } from "../bench_test.ts";

const template: Template = {
  description: "t",
  command: ["/bin/true"],
  egress: { allow: ["preset:npm"], ask: ["*:443"], ask_timeout: 120 },
};
const A = `${FLEET}/agent/a`;
/** An allowed connection gets as far as looking the name up, which is in no DNS (RFC 6761). */
const PASSED = "egress-unresolved";

/** Asks the principal's gate as its proxy does. @returns the code of the refusal in the end */
async function connect(b: Bench, host: string): Promise<string> {
  const { hash } = b.launcher.cells.get(A)!;
  const path = `${b.setup.run}/p/${hash}/egress/egress.sock`;
  // The gate listens a moment after the cell is there.
  using connection = await until(
    () => Deno.connect({ transport: "unix", path }).catch(() => null),
    "the gate listens",
  );
  await connection.write(new TextEncoder().encode(`CONNECT ${host}:443 HTTP/1.1\r\n\r\n`));
  let text = "";
  const buffer = new Uint8Array(4096);
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return /"code":"([^"]+)"/.exec(text)?.[1] ?? text;
}

async function asks(b: Bench) {
  const client = b.client();
  try {
    return await client.call("asks");
  } finally {
    client.close();
  }
}

/** The open question about a host, with the event that people answer. */
async function question(b: Bench, host: string): Promise<{ id: string; event: string }> {
  return await until(async () => {
    const { pending } = await asks(b);
    const id = pending.find((ask) => ask.host === host)?.id;
    const message = (await b.messages()).find(({ content }) =>
      (content["m.bureau.egress_ask"] as { id?: string } | undefined)?.id === id &&
      content["m.new_content"] === undefined
    );
    return id === undefined || message === undefined ? null : { id, event: message.event_id! };
  }, `a question about ${host}`);
}

async function bench(change: Template, use: (b: Bench) => Promise<void>): Promise<void> {
  await using b = await Bench.start();
  await b.publish("t", change);
  await b.startDaemon();
  await b.assign("agent/a", change);
  await until(async () => (await b.status("agent/a"))?.["phase"] === "running", "it runs");
  await use(b);
}

const stateOf = async (b: Bench, id: string) =>
  (await b.messages()).map(({ content }) =>
    (content["m.new_content"] as Record<string, unknown> | undefined)?.["m.bureau.egress_ask"] as {
      id: string;
      state: string;
    } | undefined
  ).find((part) => part?.id === id)?.state;

Deno.test("an ask is decided by operators, by each way that there is, and by nobody else", async (t) => {
  await bench(template, async (b) => {
    const { operator, setup: { configRoom, homeserver, operatorId } } = b;
    let n = 0;
    const txn = () => `answer-${n++}`;

    await t.step("the preset is enough for a tunnel, and for the gate", () => {
      const grants = b.launcher.creates[0]!.grants;
      assert.deepEqual(grants, [
        { actions: ["forward/registry.npmjs.org/443", "forward/*/443"], source: "egress" },
      ]);
    });

    await t.step("a reaction of an operator; one of a stranger is no answer", async () => {
      const stranger = await registerWithSharedSecret(
        { homeserverUrl: homeserver.url },
        { user: `${FLEET}/agent/a`, password: "password of a" },
        SECRET,
      );
      // Agents are never members of this room: here one is, and it helps nothing.
      await operator.invite(configRoom, stranger.user_id);
      const agent = createMatrixClient({
        homeserverUrl: homeserver.url,
        accessToken: stranger.access_token,
      });
      await agent.join(configRoom);
      // The homeserver refuses its events by their level; the daemon's own check is what is tried.
      const levels = (await operator.getState(configRoom, "m.room.power_levels"))!;
      const events = { ...levels["events"] as object, "m.reaction": 0, "m.room.message": 0 };
      await operator.putState(configRoom, "m.room.power_levels", "", { ...levels, events });
      const waiting = connect(b, "one.invalid");
      const { id, event } = await question(b, "one.invalid");
      await react(agent, configRoom, event, "✅", txn());
      await agent.send(
        configRoom,
        "m.room.message",
        inReplyTo({ msgtype: "m.text", body: "approve 1h" }, event),
        txn(),
      );
      // Another question and its answer pass through the same sync after that, so it was seen.
      const second = connect(b, "two.invalid");
      const other = await question(b, "two.invalid");
      await react(operator, configRoom, other.event, "❌", txn());
      assert.equal(await second, "ask-denied");
      assert.deepEqual((await asks(b)).pending.map((ask) => ask.id), [id]);
      // Positive control: the same reaction by an operator.
      await react(operator, configRoom, event, "✅", txn());
      assert.equal(await waiting, PASSED);
      await until(async () => await stateOf(b, id) === "approved", "the message says so");
    });

    await t.step("a reply, which may say for how long", async () => {
      const waiting = connect(b, "three.invalid");
      const { event } = await question(b, "three.invalid");
      const say = (body: string) =>
        operator.send(
          configRoom,
          "m.room.message",
          inReplyTo({ msgtype: "m.text", body }, event),
          txn(),
        );
      await say("what is that?");
      await say("approve always");
      await until(
        async () => (await b.notices()).some((body) => body.includes("which you sign")),
        "always is explained",
      );
      await say("> quoted\n\napprove 1h");
      assert.equal(await waiting, PASSED);
      const { rules } = await asks(b);
      assert.deepEqual(rules.map(({ host, allowed, by }) => [host, allowed, by]), [
        ["three.invalid", true, operatorId],
      ]);
      await until(
        () =>
          b.launcher.policies.at(-1)!.grants.some(({ actions }) =>
            actions.includes("forward/three.invalid/443")
          ),
        "its proxy may tunnel there",
      );
    });

    await t.step("the socket, for operators alone", async () => {
      const waiting = connect(b, "four.invalid");
      const { id } = await question(b, "four.invalid");
      const agent = b.client(
        (await registerWithSharedSecret(
          { homeserverUrl: homeserver.url },
          { user: "somebody", password: "password of somebody" },
          SECRET,
        )).access_token,
      );
      const body = { ask: id, verdict: "approve", scope: "once" };
      await assert.rejects(agent.call("decide", { body }), { code: "forbidden" });
      await assert.rejects(agent.call("asks"), { code: "forbidden" });
      agent.close();
      const client = b.client();
      const status = await client.call("status");
      assert.deepEqual(status.asks.map(({ host }) => host), ["four.invalid"]);
      await client.call("decide", { body });
      assert.equal(await waiting, PASSED);
      await assert.rejects(client.call("decide", { body }), { code: "not-asked" });
      // What holds for a while can be taken back.
      await client.call("decide", {
        body: { ask: "three.invalid", verdict: "deny", scope: "once", principal: A },
      });
      assert.deepEqual((await asks(b)).rules, []);
      client.close();
    });

    await t.step("addresses of this machine and around it are never asked about", async () => {
      assert.equal(await connect(b, "localhost"), "egress-refused-address");
      assert.equal(await connect(b, "10.1.2.3"), "egress-refused-address");
      assert.deepEqual((await asks(b)).pending, []);
    });
  });
});

Deno.test("an ask and a restart: what was open is void, what holds for a while holds", async () => {
  await bench(template, async (b) => {
    const { operator, setup: { configRoom } } = b;
    const waiting = connect(b, "one.invalid");
    const { id, event } = await question(b, "one.invalid");
    const second = connect(b, "held.invalid");
    const held = await question(b, "held.invalid");
    const client = b.client();
    await client.call("decide", {
      body: { ask: held.id, verdict: "approve", scope: "for", for_ms: 3_600_000 },
    });
    client.close();
    assert.equal(await second, PASSED);
    await b.stopDaemon();
    // Cut, without an answer.
    assert.equal((await waiting).startsWith("HTTP/1.1 102"), true);
    // Approved while nobody was there: an answer to a question that is void.
    await react(operator, configRoom, event, "✅", "late");
    await b.startDaemon();
    await until(async () => await stateOf(b, id) === "withdrawn", "the message says so");
    await until(
      async () => await connect(b, "held.invalid").catch(() => "") === PASSED,
      "what was allowed for a while is allowed",
    );
    const again = connect(b, "one.invalid");
    const fresh = await question(b, "one.invalid");
    assert.notEqual(fresh.id, id);
    await react(operator, configRoom, event, "👍", "late too");
    await react(operator, configRoom, fresh.event, "👎", "now");
    assert.equal(await again, "ask-denied");
  });
});

Deno.test("a new policy is in force at once, and decides what was open", async () => {
  await bench(template, async (b) => {
    const allowed = connect(b, "yes.invalid");
    const denied = connect(b, "no.invalid");
    await question(b, "yes.invalid");
    await question(b, "no.invalid");
    await b.assign("agent/a", template, {
      egress: { allow: ["yes.invalid:443"], deny: ["no.invalid:443"] },
    });
    assert.equal(await allowed, PASSED);
    assert.equal(await denied, "egress-denied");
    assert.equal(await connect(b, "yes.invalid"), PASSED);
    const client = b.client();
    const policy = await client.call("egressOf", { params: { principal: "agent/a" } });
    client.close();
    assert.deepEqual(policy.allow, [
      { entry: "registry.npmjs.org:443", source: "template", preset: "npm" },
      { entry: "yes.invalid:443", source: "assignment" },
    ]);
    assert.deepEqual(policy.deny, [{ entry: "no.invalid:443", source: "assignment" }]);
    assert.deepEqual(policy.ask, [{ entry: "*:443", source: "template" }]);
  });
});

Deno.test("nobody answers in time: denied, told, and open no more", async () => {
  const hasty = { ...template, egress: { ...template.egress!, ask_timeout: 10 } };
  await bench(hasty, async (b) => {
    const waiting = connect(b, "one.invalid");
    const { id } = await question(b, "one.invalid");
    assert.equal(await waiting, "ask-timeout");
    await until(async () => await stateOf(b, id) === "timed-out", "the message says so");
    assert.deepEqual((await asks(b)).pending, []);
  });
});

Deno.test("what is refused is told once, however often it is tried", async () => {
  await bench({ ...template, egress: { allow: [] } }, async (b) => {
    for (let n = 0; n < 20; n++) assert.equal(await connect(b, "evil.invalid"), "egress-refused");
    const told = async () =>
      (await b.messages()).filter(({ content }) => "m.bureau.egress_refused" in content);
    await until(async () => (await told()).length > 0, "it is told");
    assert.match(String((await told())[0]!.content["body"]), /agent\/a was refused: evil\.invalid/);
    assert.equal((await told()).length, 1);
  });
});
