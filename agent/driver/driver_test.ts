// SPDX-License-Identifier: Apache-2.0

/** Messages in order and once, a session that is kept, and what happens when either is lost. */
import assert from "node:assert/strict";
import type { AgentEvent } from "../../src/agent/event.ts";
import { claude, type Driver, type StartOptions } from "../../src/agent/driver/mod.ts";
import type { Task, Turn } from "../room/pump.ts";
import { Leave } from "./leave.ts";
import { prepare } from "./prepare.ts";
import { StateFile } from "./state.ts";
import { Worker } from "./worker.ts";

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
      const texts: { text: string; id: string }[] = [];
      let given = Promise.withResolvers<void>();
      async function* events(): AsyncGenerator<AgentEvent> {
        if (resumed === "lost") {
          await given.promise;
          yield { type: "prompt", ...texts[0]! };
          yield { type: "end", status: "error", result: null, error: "no such session" };
          return;
        }
        yield { type: "session", session_id: resumed ?? `s${starts.length}` };
        while (true) {
          await given.promise;
          given = Promise.withResolvers();
          const message = texts.shift();
          if (message === undefined) return;
          yield { type: "prompt", ...message };
          if (message.text === "die") return;
          yield { type: "cost", usd: 0.5 };
          const result = `did ${message.text}`;
          yield { type: "end", status: "completed", result, error: null };
        }
      }
      return {
        events: events(),
        send: (text, { id = "" } = {}) => {
          texts.push({ text, id });
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

const task = (text: string, id = text): Task => ({
  id,
  message: { id, room: "!r", sender: "@ada:b", text, isQuestion: false, thread: null },
  text,
});

async function ask(worker: Worker, text: string): Promise<Turn> {
  await worker.give(task(text));
  return await worker.next();
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
        onEvent: () => {},
      });
    const first = await make();
    assert.deepEqual(await ask(first, "one"), {
      end: { type: "end", status: "completed", result: "did one", error: null },
      ids: ["one"],
    });
    assert.equal((await ask(first, "die")).end.status, "error");
    assert.equal((await ask(first, "two")).end.result, "did two");
    assert.deepEqual(starts.map(({ resume }) => resume?.session_id), [undefined, "s1"]);
    await first.stop();
    const again = await make();
    assert.equal((await ask(again, "three")).end.result, "did three");
    assert.deepEqual(starts.at(-1)!.resume, { session_id: "s1", usd: 0.5 });
    await again.stop();
    const state = await StateFile.open(path);
    await state.change({ session_id: "lost" });
    const anew = await make();
    assert.equal((await ask(anew, "four")).end.result, "did four");
    assert.equal((await StateFile.open(path)).now.session_id, `s${starts.length}`);
    await anew.beginAnew();
    await ask(anew, "five");
    assert.equal(starts.at(-1)!.resume, undefined);
    await anew.stop();
  });
});

Deno.test("what was given and not answered is told as such after a restart, in a state of before, too", async () => {
  await withDir(async (dir) => {
    const path = `${dir}/session.json`;
    const worker = async () =>
      new Worker({
        driver: fakeDriver([]),
        state: await StateFile.open(path),
        command: ["x"],
        cwd: "/",
        env: {},
        onEvent: () => {},
      });
    const again = /^did You were started anew[^]*\n\none$/;
    const first = await worker();
    await ask(first, "one");
    await first.stop();
    const second = await worker();
    assert.match((await ask(second, "one")).end.result!, again);
    await second.done(["one"]);
    assert.equal((await ask(second, "one")).end.result, "did one");
    await second.stop();
    const old = { version: 1, session_id: "s", usd: 0, given: "one" };
    await Deno.writeTextFile(path, JSON.stringify(old));
    const third = await worker();
    assert.match((await ask(third, "one")).end.result!, again);
    await third.stop();
  });
});

/** Claude Code's protocol in shell: the first time it dies over the second message, before its agent has it. */
const DIES_ONCE = `while IFS= read -r line; do
  count=$((count + 1))
  if [ ! -e died ]; then
    if [ $count = 2 ]; then touch died; exit 3; fi
    continue
  fi
  key=$(expr "$line" : '.*"uuid":"\\([^"]*\\)"')
  echo '{"type":"command_lifecycle","state":"started","command_uuid":"'"$key"'"}'
  echo '{"type":"result","subtype":"success","is_error":false,"result":"done"}'
done`;

Deno.test("what the program was told, and its agent not, when it died is for the next one", async () => {
  await withDir(async (dir) => {
    const worker = new Worker({
      driver: claude,
      state: await StateFile.open(`${dir}/session.json`),
      command: ["/bin/sh", "-c", DIES_ONCE],
      cwd: dir,
      env: { PATH: "/usr/bin:/bin" },
      onEvent: () => {},
    });
    await worker.give(task("one"));
    await worker.give(task("two"));
    const first = await worker.next();
    assert.deepEqual([first.end.error, first.ids], ["the program ended with status 3", ["one"]]);
    const second = await worker.next();
    assert.deepEqual([second.end.result, second.ids], ["done", ["two"]]);
    await worker.stop();
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
