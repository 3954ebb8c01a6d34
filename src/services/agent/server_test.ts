// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createClient, HttpApiError } from "../../lib/http/mod.ts";
import { agentServiceApi, type Checkpoint, type Commit } from "./api.ts";
import { ALICE, type Bed, BOB, MACHINE, makeBed } from "./testing/bed.ts";

type AgentClient = Awaited<ReturnType<Bed["client"]>>;

const encoder = new TextEncoder();
const lines = (...events: object[]) =>
  encoder.encode(events.map((event) => `${JSON.stringify(event)}\n`).join(""));

const refused = (code: string, status: number) => (thrown: unknown) =>
  thrown instanceof HttpApiError && thrown.code === code && thrown.status === status;

const DELTA: Checkpoint = {
  parent: null,
  type: "delta",
  format: "events-v1",
  session_id: "s1",
  checkpoint: "turn",
};

function commit(
  client: AgentClient,
  content: string,
  about: Partial<Checkpoint> = {},
  agent = "me",
): Promise<Commit> {
  const head = encoder.encode(`${JSON.stringify({ ...DELTA, ...about })}\n${content}`);
  return client.call("checkpoint", { params: { agent }, bytes: head });
}

async function content(client: AgentClient, agent: string, id: string, stop?: string) {
  const stream = await client.stream("materialise", {
    params: { agent, commit: id },
    query: stop === undefined ? {} : { stop },
  });
  return await new Response(stream).text();
}

const USAGE = { type: "usage", input_tokens: 10, output_tokens: 5, cache_read_tokens: 2 };

Deno.test("a session: one at a time, its log added to once, its events counted once", async (t) => {
  await using bed = await makeBed();
  const alice = await bed.client(ALICE);
  const of = { params: { agent: "me" } };
  const append = (session: string, offset: number, bytes: Uint8Array<ArrayBuffer>) =>
    alice.call("appendLog", { params: { session }, query: { offset: String(offset) }, bytes });
  const first = lines(
    { type: "session", session_id: "s1", at: 1_000 },
    { type: "tool_call", id: "1", name: "bash", input: {}, at: 1_000 },
    { type: "tool_result", id: "1", output: "", is_error: true, at: 1_100 },
    { ...USAGE, cache_write_tokens: 0, at: 1_200 },
    { type: "cost", usd: 0.5, at: 1_200 },
    { type: "of-the-future", what: 1 },
    { type: "end", status: "completed", result: null, error: null, at: 3_000 },
  );

  await t.step("it begins, and goes on under its name", async () => {
    const made = await alice.call("startSession", {
      body: { session_id: "s1", program: "native" },
    });
    assert.deepEqual([made.agent, made.log_bytes, made.ended_at], [ALICE, 0, null]);
    const again = await alice.call("startSession", { body: { session_id: "s1" } });
    assert.deepEqual(again, made);
    const other = alice.call("startSession", { body: { session_id: "s2" } });
    await assert.rejects(other, (thrown: HttpApiError) => {
      assert.match(thrown.message, /"s1" of native goes on since 20\d\d-/);
      return refused("session-active", 409)(thrown);
    });
  });

  await t.step("the same piece twice is there once", async () => {
    assert.equal((await append("s1", 0, first)).log_bytes, first.length);
    await assert.rejects(append("s1", 0, first), refused("wrong-offset", 409));
    const { total } = await alice.call("metrics", of);
    assert.deepEqual(total, {
      ...{ turns: 1, tool_calls: 1, tool_errors: 1, errors: 0, usd: 0.5, working_ms: 2_000 },
      ...{ input_tokens: 10, output_tokens: 5, cache_read_tokens: 2, cache_write_tokens: 0 },
    });
  });

  await t.step("a piece that broke off is there as far as its lines were whole", async () => {
    const half = encoder.encode('{"type":"tool_call","id":"2","name":"b","input":1}\n{"type":');
    await assert.rejects(append("s1", first.length, half), refused("half-line", 400));
    const { log_bytes } = await alice.call("session", { params: { agent: "me", session: "s1" } });
    assert.equal(log_bytes, first.length + half.lastIndexOf(10) + 1);
    assert.equal((await alice.call("metrics", of)).active?.metrics.tool_calls, 2);
    await assert.rejects(
      append("s1", log_bytes, encoder.encode("no JSON\n")),
      refused("bad-line", 400),
    );
  });

  await t.step("two at once: one of them is written", async () => {
    const { log_bytes } = await alice.call("session", { params: { agent: "me", session: "s1" } });
    const pieces = ["one", "other"].map((text) => lines({ type: "text", text }));
    const done = await Promise.allSettled(pieces.map((piece) => append("s1", log_bytes, piece)));
    assert.deepEqual(done.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    const log = await alice.text("log", { params: { agent: "me", session: "s1" } });
    const winner = done[0]!.status === "fulfilled" ? "one" : "other";
    assert.deepEqual(JSON.parse(log.trimEnd().split("\n").at(-1)!), { type: "text", text: winner });
  });

  await t.step(
    "started anew it has everything, and an uncounted rest is written over",
    async () => {
      const before = await alice.call("session", { params: { agent: "me", session: "s1" } });
      const { session } = { session: "s1" };
      await bed.store.logs.write(ALICE, session, before.log_bytes, encoder.encode("never counted"));
      await bed.restart();
      const anew = await bed.client(ALICE);
      assert.deepEqual(
        await anew.call("session", { params: { agent: "me", session: "s1" } }),
        before,
      );
      const bytes = lines({ type: "text", text: "x" });
      const query = { offset: String(before.log_bytes) };
      await anew.call("appendLog", { params: { session }, query, bytes });
      const log = await anew.text("log", { params: { agent: "me", session } });
      assert.equal(log.length, before.log_bytes + bytes.length);
      assert.ok(!log.includes("never counted"));
      const rest = await anew.text("log", { params: { agent: "me", session }, query });
      assert.deepEqual(JSON.parse(rest), { type: "text", text: "x" });
    },
  );

  await t.step("a crashed program's is superseded by name, and metrics are of both", async () => {
    const anew = await bed.client(ALICE);
    const start = (supersede: string) =>
      anew.call("startSession", { body: { session_id: "s2", supersede } });
    await assert.rejects(start("s0"), refused("session-active", 409));
    await start("s1");
    const { active, sessions } = await anew.call("sessions", of);
    assert.equal(active?.session_id, "s2");
    assert.deepEqual(
      sessions.map(({ session_id, outcome }) => [session_id, outcome]),
      [["s2", null], ["s1", "superseded"]],
    );
    await assert.rejects(
      anew.call("appendLog", {
        ...{ params: { session: "s1" }, query: { offset: "0" }, bytes: lines(USAGE) },
      }),
      refused("session-ended", 409),
    );
    const bytes = lines({ ...USAGE, cache_write_tokens: 1 });
    await anew.call("appendLog", { params: { session: "s2" }, query: { offset: "0" }, bytes });
    await anew.call("endSession", { params: { session: "s2" } });
    // The first again: nothing of it counts twice.
    await anew.call("startSession", { body: { session_id: "s1" } });
    const { sessions: count, total } = await anew.call("metrics", of);
    assert.deepEqual([count, total.input_tokens, total.tool_calls], [2, 20, 2]);
  });
});

Deno.test("what is another's needs a grant: to read, to follow, to materialise, to write", async (t) => {
  await using bed = await makeBed();
  const alice = await bed.client(ALICE);
  const bob = await bed.client(BOB);
  const reader = await bed.client(BOB, [{
    actions: ["service/agent/read"],
    targets: ["**/alice:*"],
  }]);
  await alice.call("startSession", { body: { session_id: "s1" } });
  const made = await commit(alice, '{"said":"secret"}\n');
  const params = { agent: ALICE, commit: made.id };

  await t.step("each read is refused, and granted", async () => {
    for (const name of ["sessions", "metrics", "commits"] as const) {
      await assert.rejects(
        bob.call(name, { params: { agent: ALICE } }),
        refused("not-granted", 403),
      );
      await reader.call(name, { params: { agent: ALICE } });
    }
    for (const name of ["commit", "history"] as const) {
      await assert.rejects(bob.call(name, { params }), refused("not-granted", 403));
      await reader.call(name, { params });
    }
    await assert.rejects(content(bob, ALICE, made.id), refused("not-granted", 403));
    assert.equal(await content(reader, ALICE, made.id), '{"said":"secret"}\n');
    const log = { params: { agent: ALICE, session: "s1" } };
    await assert.rejects(bob.text("log", log), refused("not-granted", 403));
    assert.equal(await reader.text("log", log), "");
    // Of another whom the grant does not name.
    const third = { params: { agent: "@bureau/fleet/dev/agent/carol:s" } };
    await assert.rejects(reader.call("sessions", third), refused("not-granted", 403));
    // Under one's own name there is no other's commit.
    await assert.rejects(content(bob, "me", made.id), refused("no-such-commit", 404));
  });

  await t.step("a fork: its parent must be readable, then and later", async () => {
    const fork = { parent: made.id, checkpoint: "explicit" as const, session_id: null };
    await assert.rejects(commit(bob, '{"mine":1}\n', fork), refused("not-granted", 403));
    const forked = await commit(reader, '{"mine":1}\n', fork);
    assert.equal(forked.agent, BOB);
    assert.equal(await content(reader, "me", forked.id), '{"said":"secret"}\n{"mine":1}\n');
    // The grant is gone: what was forked is Bob's, what it follows is not.
    await assert.rejects(content(bob, "me", forked.id), refused("not-granted", 403));
    assert.equal(await content(bob, "me", forked.id, forked.id), '{"mine":1}\n');
    // Who may read Bob may not therefore read Alice.
    const third = await bed.client("@bureau/fleet/dev/agent/carol:s", [
      { actions: ["service/agent/read"], targets: ["**/bob:*"] },
    ]);
    await assert.rejects(content(third, BOB, forked.id), refused("not-granted", 403));
    assert.equal(await content(third, BOB, forked.id, forked.id), '{"mine":1}\n');
  });

  await t.step("writing for another is a right of its own", async () => {
    const body = { summary: "mine" };
    await assert.rejects(reader.call("summarise", { params, body }), refused("not-granted", 403));
    await assert.rejects(commit(reader, "", {}, ALICE), refused("not-granted", 403));
    const writer = await bed.client(BOB, [{ actions: ["service/agent/*"], targets: ["**:**"] }]);
    assert.equal((await writer.call("summarise", { params, body })).summary, "mine");
    assert.equal((await commit(writer, "", { parent: made.id }, ALICE)).agent, ALICE);
  });

  await t.step("nobody without a token", async () => {
    const nobody = createClient(agentServiceApi, { socket: bed.socket });
    await assert.rejects(
      nobody.call("sessions", { params: { agent: "me" } }),
      refused("no-token", 401),
    );
    nobody.close();
  });
});

Deno.test("how the service does is told to the machine, and to no agent whatever it was granted", async () => {
  await using bed = await makeBed();
  const alice = await bed.client(ALICE, [{ actions: ["**"], targets: ["**:**"] }]);
  await alice.call("startSession", { body: { session_id: "s1" } });
  await assert.rejects(alice.text("processMetrics"), refused("not-granted", 403));
  const text = await (await bed.client(MACHINE)).text("processMetrics");
  assert.match(text, /^bureau_agent_service_sessions_active 1$/m);
  assert.match(text, /^bureau_agent_service_requests_total\{status="4xx"\} 1$/m);
  assert.match(text, /^bureau_agent_service_database_bytes [1-9]/m);
});

Deno.test("a commit: its content whole or not at all, its format its chain's", async (t) => {
  await using bed = await makeBed();
  const alice = await bed.client(ALICE);

  await t.step(
    "half a line, no first line, a wrong one: refused, and nothing is left",
    async () => {
      await assert.rejects(commit(alice, '{"half":'), refused("half-line", 400));
      for (
        const bytes of ["", "{}\n", "no JSON\n", '{"parent":"ctx-1"}\n'].map((text) =>
          encoder.encode(text)
        )
      ) {
        const call = alice.call("checkpoint", { params: { agent: "me" }, bytes });
        await assert.rejects(call, refused("bad-request", 400));
      }
      const left = await Array.fromAsync(Deno.readDir(`${bed.dir}/kept/contents`));
      assert.deepEqual(left, []);
    },
  );

  await t.step("what is big comes and goes as a stream", async () => {
    const line = `${JSON.stringify({ text: "x".repeat(1_000_000) })}\n`;
    const body = ReadableStream.from((function* () {
      yield encoder.encode(`${JSON.stringify(DELTA)}\n`);
      for (let i = 0; i < 20; i++) yield encoder.encode(line);
    })());
    const made = await alice.call("checkpoint", { params: { agent: "me" }, bytes: body });
    assert.equal(made.bytes, 20 * line.length);
    let bytes = 0;
    const stream = await alice.stream("materialise", { params: { agent: "me", commit: made.id } });
    for await (const chunk of stream) bytes += chunk.length;
    assert.equal(bytes, made.bytes);
    const { mode } = await Deno.stat(
      `${bed.dir}/kept/contents/${made.content.slice(0, 2)}/${made.content}`,
    );
    assert.equal(mode! & 0o777, 0o600);
  });

  await t.step("formats don't mix in what is joined", async () => {
    const root = await commit(alice, '{"a":1}\n');
    const other = { parent: root.id, format: "codex-v1" as const };
    await assert.rejects(commit(alice, '{"b":1}\n', other), refused("mixed-formats", 409));
    const snapshot = await commit(alice, '{"b":1}\n', { ...other, type: "snapshot" });
    assert.equal(await content(alice, "me", snapshot.id), '{"b":1}\n');
    await assert.rejects(content(alice, "me", snapshot.id, "root"), refused("mixed-formats", 409));
  });
});
