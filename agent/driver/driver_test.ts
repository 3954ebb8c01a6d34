// SPDX-License-Identifier: Apache-2.0

/** Messages in order and once, a session that is kept, and what happens when either is lost. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { AgentEvent } from "../../src/agent/event.ts";
import type { Driver, StartOptions } from "../../src/agent/driver/mod.ts";
import type { Content, MatrixEvent } from "../../src/lib/matrix/types.ts";
import type { ProxyClient } from "../../src/lib/proxyclient/mod.ts";
import { Leave } from "./leave.ts";
import { prepare } from "./prepare.ts";
import { Room } from "./room.ts";
import { StateFile } from "./state.ts";
import { Worker } from "./worker.ts";

const ME = "@agent:b";

/** A room that pages as homeservers do. */
class History {
  readonly events: MatrixEvent[] = [];
  readonly transactions = new Set<string>();

  add(sender: string, content: Content): string {
    const event_id = `$${this.events.length}`;
    this.events.push({ type: "m.room.message", sender, event_id, content });
    return event_id;
  }

  ask(body: string, more: Content = {}): string {
    return this.add("@ada:b", { msgtype: "m.text", body, ...more });
  }

  room(): Room {
    const matrix = {
      messages: (_: string, { from, limit }: { from?: string; limit: number }) => {
        const end = from === undefined ? this.events.length : Number(from);
        const start = Math.max(0, end - limit);
        const chunk = this.events.slice(start, end).reverse();
        return Promise.resolve({ chunk, start: "", ...(start > 0 ? { end: String(start) } : {}) });
      },
      send: (_: string, __: string, content: Content, txn: string) => {
        if (!this.transactions.has(txn)) this.add(ME, content);
        this.transactions.add(txn);
        return Promise.resolve("$");
      },
    };
    return new Room({ matrix } as unknown as ProxyClient, "!r", ME);
  }

  answers(): Map<string, number> {
    const found = new Map<string, number>();
    for (const { sender, content } of this.events) {
      if (sender !== ME) continue;
      const relation = content["m.relates_to"] as { "m.in_reply_to": { event_id: string } };
      const id = relation["m.in_reply_to"].event_id;
      found.set(id, (found.get(id) ?? 0) + 1);
    }
    return found;
  }
}

Deno.test("each message is answered once and in order, wherever the agent is killed", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.constantFrom("ask", "look", "answer", "kill"), { maxLength: 250 }),
    async (steps) => {
      const history = new History();
      const asked: string[] = [];
      const done: string[] = [];
      let room = history.room();
      let tasks: Awaited<ReturnType<Room["unanswered"]>> = [];
      for (const step of [...steps, "kill", "look", ...steps.map(() => "answer")]) {
        if (step === "ask") asked.push(history.ask("do it"));
        if (step === "look") tasks.push(...await room.unanswered());
        if (step === "kill") {
          room = history.room();
          tasks = [];
        }
        const task = step === "answer" ? tasks.shift() : undefined;
        if (task !== undefined) {
          await room.answer(task, "done");
          done.push(task.id);
        }
      }
      assert.deepEqual(done, asked);
      assert.deepEqual([...history.answers()], asked.map((id) => [id, 1]));
    },
  ));
});

Deno.test("notices, edits, one's own words and what is for others are no tasks", async () => {
  const history = new History();
  history.add("@ada:b", { msgtype: "m.notice", body: "x" });
  history.ask("x", { "m.relates_to": { rel_type: "m.replace", event_id: "$0" } });
  history.add(ME, { msgtype: "m.text", body: "x" });
  history.ask("x", { "m.mentions": { user_ids: ["@other:b"] } });
  const mine = history.ask("x", { "m.mentions": { user_ids: ["@other:b", ME] } });
  const room = history.room();
  assert.deepEqual((await room.unanswered()).map(({ id }) => id), [mine]);
  assert.deepEqual(await room.unanswered(), []);
});

Deno.test("an answer that is too long for an event is cut, and says so", async () => {
  const history = new History();
  history.ask("x");
  const room = history.room();
  await room.answer((await room.unanswered())[0]!, "é".repeat(100_000));
  const body = String(history.events.at(-1)!.content["body"]);
  assert.ok(new TextEncoder().encode(JSON.stringify(body)).length < 60_000);
  assert.match(body, /90000 characters left out/);
});

async function withDir(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-driver" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Answers with the session that it goes on with; `lost` is one that it does not know. */
function fakeDriver(starts: StartOptions[]): Driver {
  return {
    name: "fake",
    lost: /no such session/,
    start(options) {
      starts.push(options);
      const resumed = options.resume?.session_id;
      const texts: string[] = [];
      let given = Promise.withResolvers<void>();
      async function* events(): AsyncGenerator<AgentEvent> {
        if (resumed === "lost") {
          await given.promise;
          yield { type: "end", status: "error", result: null, error: "no such session" };
          return;
        }
        yield { type: "session", session_id: resumed ?? `s${starts.length}` };
        while (true) {
          await given.promise;
          given = Promise.withResolvers();
          const text = texts.shift();
          if (text === undefined) return;
          if (text === "die") return;
          yield { type: "cost", usd: 0.5 };
          yield { type: "end", status: "completed", result: `did ${text}`, error: null };
        }
      }
      return {
        events: events(),
        send: (text) => {
          texts.push(text);
          given.resolve();
        },
        interrupt: () => {},
        close: () => {
          given.resolve();
          return Promise.resolve();
        },
      };
    },
  };
}

Deno.test("a worker goes on with its session after its program died; one that is lost begins anew", async () => {
  await withDir(async (dir) => {
    const path = `${dir}/deep/session.json`;
    const starts: StartOptions[] = [];
    const make = async () =>
      new Worker({
        driver: fakeDriver(starts),
        state: await StateFile.open(path),
        command: ["x"],
        cwd: "/",
        env: {},
        onState: () => {},
      });
    const first = await make();
    assert.equal((await first.ask("one")).result, "did one");
    assert.equal((await first.ask("die")).status, "error");
    assert.equal((await first.ask("two")).result, "did two");
    assert.deepEqual(starts.map(({ resume }) => resume?.session_id), [undefined, "s1"]);
    await first.stop();
    const again = await make();
    assert.equal((await again.ask("three")).result, "did three");
    assert.deepEqual(starts.at(-1)!.resume, { session_id: "s1", usd: 0.5 });
    await again.stop();
    const state = await StateFile.open(path);
    await state.change({ session_id: "lost" });
    const anew = await make();
    assert.equal((await anew.ask("four")).result, "did four");
    assert.equal((await StateFile.open(path)).now.session_id, `s${starts.length}`);
    await anew.stop();
  });
});

Deno.test("what its program asks leave for is asked of people, and a stopped turn waits for nobody", async () => {
  const asked: unknown[] = [];
  const signals: AbortSignal[] = [];
  let answer = Promise.withResolvers<{ approved: boolean; why: string }>();
  const leave = new Leave({
    approval: (call, { signal } = {}) => {
      asked.push(call);
      signals.push(signal!);
      return answer.promise;
    },
  });
  const request = (tool: string, input: unknown) => ({ id: "1", tool, input, reason: null });
  const waiting = leave.approve(request("Bash", { command: "git push" }));
  answer.resolve({ approved: true, why: "ann approved it" });
  assert.equal(await waiting, true);
  answer = Promise.withResolvers();
  const second = leave.approve(request("Read", { file_path: "/etc/x" }));
  leave.cancel();
  assert.deepEqual(signals.map(({ aborted }) => aborted), [true, true]);
  answer.resolve({ approved: false, why: "it was cancelled" });
  assert.equal(await second, false);
  assert.equal(await leave.approve(request("Bash", { command: "x".repeat(5_000) })), false);
  assert.deepEqual(asked, [
    { tool: "Bash", permission: "git-write", resource: "git push" },
    { tool: "Read", permission: "other", resource: '{"file_path":"/etc/x"}' },
  ]);
});

Deno.test("a session's file that cannot be read is none; what stands in the program's own files stays", async () => {
  await withDir(async (dir) => {
    await Deno.writeTextFile(`${dir}/session.json`, "{half");
    assert.equal((await StateFile.open(`${dir}/session.json`)).now.session_id, null);
    await Deno.mkdir(`${dir}/claude`);
    const file = `${dir}/claude/.claude.json`;
    await Deno.writeTextFile(
      file,
      JSON.stringify({
        theme: "light",
        projects: { "/x": { a: 1 } },
        mcpServers: { own: { url: "http://127.0.0.1:1" } },
      }),
    );
    await prepare("claude", `${dir}/claude`, "/workspace");
    const known = JSON.parse(await Deno.readTextFile(file));
    assert.equal(known.theme, "light");
    assert.deepEqual(known.projects["/x"], { a: 1 });
    assert.equal(known.projects["/workspace"].hasTrustDialogAccepted, true);
    assert.equal(known.hasCompletedOnboarding, true);
    assert.deepEqual(Object.keys(known.mcpServers), ["own", "bureau"]);
  });
});
