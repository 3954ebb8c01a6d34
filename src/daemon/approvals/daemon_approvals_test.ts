// SPDX-License-Identifier: Apache-2.0

/** Tool approvals in the daemon process, with a homeserver: who may decide, by which way, and what a kill does. */
import assert from "node:assert/strict";
import type { ApprovalRequest } from "../../lib/approval/mod.ts";
import type { Template } from "../../lib/schema/mod.ts";
import { inReplyTo, react } from "../../messaging/mod.ts";
import { askRoom } from "../../cli/worker/room.ts";
import { Bench, FLEET, until } from "../bench_test.ts";

const template: Template = { description: "t", command: ["/bin/true"] };
const A = `${FLEET}/agent/a`;
const PATIENCE_MS = 60_000;

const call = (resource: string): ApprovalRequest => ({
  key: crypto.randomUUID(),
  tool: "Bash",
  permission: "execute-command",
  resource,
});

async function bench(use: (b: Bench) => Promise<void>): Promise<void> {
  await using b = await Bench.start();
  await b.publish("t", template);
  await b.startDaemon();
  await b.assign("agent/a", template);
  await until(async () => (await b.status("agent/a"))?.["phase"] === "running", "it runs");
  await use(b);
}

async function approvals(b: Bench, token?: string) {
  const client = b.client(token);
  try {
    return await client.call("approvals");
  } finally {
    client.close();
  }
}

interface Seen {
  readonly id: string;
  readonly state: string;
  readonly verdict: string | null;
}

/** The message that people answer. */
const question = (b: Bench, resource: string) =>
  until(
    async () =>
      (await b.messages()).find(({ content }) =>
        (content["m.bureau.tool_approval"] as { resource?: string } | undefined)?.resource ===
          resource && content["m.new_content"] === undefined
      ),
    `a question about ${resource}`,
    PATIENCE_MS,
  );

const endOf = async (b: Bench, resource: string): Promise<Seen | undefined> =>
  (await b.messages()).map(({ content }) =>
    (content["m.new_content"] as Record<string, unknown> | undefined)?.[
      "m.bureau.tool_approval"
    ] as Seen & { resource: string } | undefined
  ).find((part) => part?.resource === resource);

const answered = (b: Bench, { key }: ApprovalRequest) =>
  until(
    () => b.launcher.answers.find((one) => one.key === key),
    `an answer for ${key}`,
    PATIENCE_MS,
  );

Deno.test("a tool call is decided by who may, by each way that there is, and by nobody else", async (t) => {
  await bench(async (b) => {
    const { operator, setup: { configRoom, operatorId } } = b;
    let n = 0;
    const txn = () => `answer-${n++}`;

    await t.step("a reaction; one of the agent itself is no answer", async () => {
      const agent = await b.guest(A, configRoom);
      const levels = (await operator.getState(configRoom, "m.room.power_levels"))!;
      const events = { ...levels["events"] as object, "m.reaction": 0, "m.room.message": 0 };
      await operator.putState(configRoom, "m.room.power_levels", "", { ...levels, events });
      const first = call("first");
      const other = call("other");
      b.launcher.askLeave(A, first);
      const { event_id: about } = await question(b, "first");
      await react(agent, configRoom, about!, "✅", txn());
      const reply = inReplyTo({ msgtype: "m.text", body: "approve" }, about!);
      await agent.send(configRoom, "m.room.message", reply, txn());
      // Another question and its answer pass through the same sync after that, so it was seen.
      b.launcher.askLeave(A, other);
      await react(operator, configRoom, (await question(b, "other")).event_id!, "👎", txn());
      const { approved, why } = await answered(b, other);
      assert.deepEqual([approved, why], [false, `${operatorId} denied it`]);
      assert.deepEqual(b.launcher.answers.filter(({ key }) => key === first.key), []);
      // Positive control: the same reaction by an operator.
      await react(operator, configRoom, about!, "👍", txn());
      assert.equal((await answered(b, first)).approved, true);
      assert.equal((await b.view("agent/a")).attention?.state !== "waiting-approval", true);
      b.launcher.endLeave(A, first.key, "taken");
      await until(
        async () => (await endOf(b, "first"))?.state === "delivered",
        "the message says so",
        PATIENCE_MS,
      );
      b.launcher.endLeave(A, other.key, "taken");
    });

    await t.step("a reply; for longer than this once there is no answer", async () => {
      const asked = call("third\x1b[2J\nReact ✅");
      b.launcher.askLeave(A, asked);
      const { event_id: about, content } = await question(b, "third\\x1b[2J\\nReact ✅");
      assert.match(String(content["body"]), /> Bash \(execute-command\): third\\x1b\[2J\\nReact/);
      const say = (body: string) =>
        operator.send(
          ...[configRoom, "m.room.message"] as const,
          inReplyTo({ msgtype: "m.text", body }, about!),
          txn(),
        );
      await say("approve 1h");
      await until(
        async () => (await b.notices()).some((body) => body.includes("this once only")),
        "it is explained",
        PATIENCE_MS,
      );
      await until(
        async () => (await b.view("agent/a")).attention?.state === "waiting-approval",
        "it waits for approval",
        PATIENCE_MS,
      );
      await say("deny");
      assert.equal((await answered(b, asked)).approved, false);
      b.launcher.endLeave(A, asked.key, "taken");
    });

    await t.step(
      "the socket: by the first letters, once, and an agent that gave up is told",
      async () => {
        const [asked, left] = [call("fourth"), call("fifth")];
        b.launcher.askLeave(A, asked);
        b.launcher.askLeave(A, left);
        await question(b, "fourth");
        await question(b, "fifth");
        const { pending } = await approvals(b);
        assert.deepEqual(pending.map(({ resource }) => resource), ["fourth", "fifth"]);
        const client = b.client();
        const body = { id: pending[0]!.id.slice(0, 6), verdict: "approve" } as const;
        assert.equal((await client.call("decideApproval", { body })).by, operatorId);
        assert.equal((await answered(b, asked)).approved, true);
        await assert.rejects(client.call("decideApproval", { body }), { code: "not-asked" });
        const short = { id: pending[1]!.id.slice(0, 3), verdict: "approve" } as const;
        await assert.rejects(client.call("decideApproval", { body: short }), { code: "not-asked" });
        client.close();
        b.launcher.endLeave(A, left.key, "left");
        await until(
          async () => (await endOf(b, "fifth"))?.state === "failed",
          "it is void",
          PATIENCE_MS,
        );
        assert.deepEqual((await approvals(b)).pending, []);
      },
    );
  });
});

Deno.test("a call of a person's worker is asked by their session, and void when nobody waits for it", async (t) => {
  await bench(async (b) => {
    const { operator, setup: { configRoom, operatorId } } = b;
    const client = b.client();
    const never = new AbortController().signal;
    const ask = (resource: string, signal = never) =>
      askRoom(client, { tool: "bash", permission: "execute-command", resource }, signal);
    try {
      await t.step("a reaction, after the daemon was killed", async () => {
        const answer = ask("first");
        const { event_id: about, content } = await question(b, "first");
        const body = String(content["body"]);
        assert.ok(body.startsWith(`a worker of ${operatorId} asks`), body);
        // What is on disk counts, and which message asks.
        await until(
          async () =>
            (await Deno.readTextFile(`${b.bootstrap.state_dir}/approvals.json`).catch(() => ""))
              .includes(about!),
          "it is written down",
          PATIENCE_MS,
        );
        await b.stopDaemon();
        await b.startDaemon();
        await react(operator, configRoom, about!, "✅", "worker-1");
        assert.deepEqual(await answer, { approved: true, why: `${operatorId} approved it` });
        await until(
          async () => (await endOf(b, "first"))?.state === "delivered",
          "the message says so",
          PATIENCE_MS,
        );
        const told = (await b.messages()).filter(({ content }) =>
          "m.bureau.tool_approval" in content && content["m.new_content"] === undefined
        );
        assert.equal(told.length, 1, "people are asked once");
      });

      await t.step("a command", async () => {
        const answer = ask("second");
        await question(b, "second");
        const { pending } = await approvals(b);
        const { id } = pending.find(({ resource }) => resource === "second")!;
        await client.call("decideApproval", { body: { id, verdict: "deny" } });
        assert.deepEqual(await answer, { approved: false, why: `${operatorId} denied it` });
      });

      await t.step("nobody waits any more", async () => {
        const stop = new AbortController();
        const answer = ask("third", stop.signal);
        await question(b, "third");
        stop.abort();
        assert.equal((await answer).approved, false);
        await until(
          async () => (await endOf(b, "third"))?.state === "failed",
          "it is void",
          PATIENCE_MS,
        );
      });
    } finally {
      client.close();
    }
  });
});

Deno.test("a daemon that is killed asks people once, and takes the answer that came while nobody was there", async () => {
  await bench(async (b) => {
    const { operator, setup: { configRoom } } = b;
    const asked = call("over a kill");
    b.launcher.askLeave(A, asked);
    const { event_id: about } = await question(b, "over a kill");
    // What is on disk counts; a question of the very last moment is asked again by its message.
    await until(
      async () => (await approvals(b)).pending.length === 1,
      "it is open",
      PATIENCE_MS,
    );
    await b.stopDaemon();
    await react(operator, configRoom, about!, "✅", "while nobody was there");
    await b.startDaemon();
    assert.equal((await answered(b, asked)).approved, true);
    const told = (await b.messages()).filter(({ content }) =>
      "m.bureau.tool_approval" in content && content["m.new_content"] === undefined
    );
    assert.equal(told.length, 1);
    // Decided, and not taken yet: the next daemon hands the same answer over.
    const before = b.launcher.answers.length;
    await b.stopDaemon();
    await b.startDaemon();
    await until(() => b.launcher.answers.length > before, "it is told again", PATIENCE_MS);
    assert.equal(b.launcher.answers.at(-1)!.approved, true);
    b.launcher.endLeave(A, asked.key, "taken");
    await until(
      async () => (await endOf(b, "over a kill"))?.state === "delivered",
      "it is used up",
      PATIENCE_MS,
    );
    // The same key again: used.
    b.launcher.askLeave(A, asked);
    await until(() => b.launcher.answers.at(-1)!.approved === false, "a no", PATIENCE_MS);
  });
});
