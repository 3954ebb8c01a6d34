// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createLogger } from "../../../lib/log.ts";
import { readNotice } from "../../../lib/schema/mod.ts";
import { FakeClock } from "../../asks/fake_clock_test.ts";
import type { AttentionDesk } from "../desk.ts";
import type { Tracked } from "../tracker.ts";
import { Notifier } from "./notifier.ts";
import { startHook, startNtfy } from "./receivers_test.ts";
import type { NotifyStore } from "./store.ts";
import { fileNotifyStore } from "./store.ts";
import { MAX_QUEUE } from "./teller.ts";
import type { NotifyState, NotifyTarget } from "./types.ts";

const log = createLogger("test", {}, () => {});
const MACHINE = "@bureau/fleet/dev/machine/m:bureau.local";
const SECRET_WORDS = "the agent's words";

async function until(what: string, check: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

class Bench {
  clock = new FakeClock(Date.now());
  saved: NotifyState = { version: 1, targets: {} };
  saves = 0;
  readonly posted: { content: Record<string, unknown>; txn: string }[] = [];
  readonly agents = new Map<string, Tracked>();
  readonly #listeners = new Set<(principal: string, now: Tracked | null) => void>();

  async start(targets: readonly NotifyTarget[]): Promise<Notifier> {
    const desk = {
      all: [],
      listen: (listener: (principal: string, now: Tracked | null) => void) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
    Object.defineProperty(desk, "all", { get: () => [...this.agents.values()] });
    const store: NotifyStore = {
      load: () => Promise.resolve(structuredClone(this.saved)),
      save: (state) => {
        this.saved = structuredClone(state);
        this.saves++;
        return Promise.resolve();
      },
    };
    const notifier = new Notifier({
      targets,
      desk: desk as unknown as AttentionDesk,
      about: () => ({ template: "bureau/template:agent", room: null }),
      store,
      delivery: {
        machine: MACHINE,
        admins: ["@operator:bureau.local"],
        post: (content, txn) => {
          this.posted.push({ content, txn });
          return Promise.resolve();
        },
      },
      clock: this.clock,
      log,
      random: () => 1,
    });
    await notifier.start();
    return notifier;
  }

  set(name: string, state: Tracked["attention"]["state"], what = name): void {
    const principal = `bureau/fleet/dev/agent/${name}`;
    const tracked: Tracked = {
      principal,
      attention: {
        state,
        since: this.clock.now(),
        reason: "question",
        message: SECRET_WORDS,
        unseen: true,
      },
      last_line: SECRET_WORDS,
      what,
      typed: null,
    };
    this.agents.set(principal, tracked);
    for (const listener of this.#listeners) listener(principal, tracked);
  }

  remove(name: string): void {
    const principal = `bureau/fleet/dev/agent/${name}`;
    this.agents.delete(principal);
    for (const listener of this.#listeners) listener(principal, null);
  }
}

const base = {
  states: ["failed", "waiting-approval", "waiting-input"] as NotifyTarget["states"],
  after_ms: 20_000,
  include_text: false,
};

Deno.test("Notifier: ten agents are one signed message, without a word of theirs", async () => {
  const hook = startHook("key");
  const b = new Bench();
  const target = { ...base, name: "w", kind: "webhook" as const, url: hook.url, secret: "key" };
  const notifier = await b.start([target]);
  try {
    for (let at = 0; at < 10; at++) {
      b.set(`a${at}`, "waiting-input");
      await b.clock.advance(100);
    }
    await b.clock.advance(19_000);
    assert.equal(hook.requests, 0);
    await b.clock.advance(10_000);
    await until("the message", () => hook.bodies.length === 1);
    const [body] = hook.bodies;
    assert.equal(body!.title, "10 agents need somebody");
    assert.deepEqual(body!.events.map(({ account }) => account).sort()[0], "agent/a0");
    assert.ok(!JSON.stringify(body).includes(SECRET_WORDS));
    assert.deepEqual(hook.problems, []);
    // Long after, and with a frame now and then, nothing is said twice.
    for (let round = 0; round < 20; round++) {
      b.set("a1", "waiting-input");
      await b.clock.advance(60_000);
    }
    await until("it is written down", () => b.saved.targets["w"]!.queue.length === 0);
    assert.equal(hook.requests, 1);
    assert.equal(notifier.view[0]!.last?.ok, true);
    assert.equal(notifier.view[0]!.where, hook.url.replace(/\?.*/, ""));
  } finally {
    notifier.close();
    await hook.close();
  }
});

Deno.test("Notifier: what is not taken is tried again, over a restart, with the same id", async () => {
  const hook = startHook("key");
  const b = new Bench();
  const target = { ...base, name: "w", kind: "webhook" as const, url: hook.url, secret: "key" };
  let notifier = await b.start([target]);
  try {
    hook.answers.push(new Response(null, { status: 503 }), new Response(null, { status: 429 }));
    b.set("a", "failed");
    await b.clock.advance(25_000);
    await until("the first try", () => hook.requests === 1);
    await until("it is kept", () => b.saved.targets["w"]!.queue[0]?.attempts === 1);
    const { id } = b.saved.targets["w"]!.queue[0]!;
    await b.clock.advance(1_000);
    await until("the second try", () => hook.requests === 2);
    await until("it is kept still", () => b.saved.targets["w"]!.queue[0]?.attempts === 2);
    notifier.close();
    notifier = await b.start([target]);
    await b.clock.advance(2_000);
    await until("the third try", () => hook.bodies.length === 1);
    assert.equal(hook.bodies[0]!.id, id);
    await until("it is done", () => b.saved.targets["w"]!.queue.length === 0);
    await b.clock.advance(3_600_000);
    assert.equal(hook.requests, 3);
  } finally {
    notifier.close();
    await hook.close();
  }
});

Deno.test("Notifier: who asks for patience gets it, who refuses is asked no more", async () => {
  const hook = startHook(null);
  const b = new Bench();
  const target = { ...base, name: "w", kind: "webhook" as const, url: hook.url };
  const notifier = await b.start([target]);
  try {
    hook.answers.push(new Response(null, { status: 429, headers: { "retry-after": "120" } }));
    b.set("a", "failed");
    await b.clock.advance(25_000);
    await until("it is kept", () => b.saved.targets["w"]!.queue[0]?.attempts === 1);
    const wait = b.saved.targets["w"]!.queue[0]!.next_at - b.clock.now();
    assert.equal(wait, 120_000);
    await b.clock.advance(120_000);
    await until("it came", () => hook.bodies.length === 1);
    for (const status of [302, 404]) {
      const headers = { location: hook.url };
      hook.answers.push(new Response(null, { status, headers }));
      const before = hook.requests;
      b.set(`b${status}`, "failed");
      await b.clock.advance(60_000);
      await until("it was tried", () => hook.requests > before);
      await until("it is dropped", () => b.saved.targets["w"]!.queue.length === 0);
      assert.match(notifier.view[0]!.last!.why!, new RegExp(`status ${status}`));
      await b.clock.advance(600_000);
      // Nobody followed the redirect.
      assert.equal(hook.requests, before + 1);
    }
  } finally {
    notifier.close();
    await hook.close();
  }
});

Deno.test("Notifier: a target that is away fills no disk, and keeps what is newest", async () => {
  const b = new Bench();
  // Nobody listens there.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const url = `http://127.0.0.1:${port}/`;
  const notifier = await b.start([{ ...base, name: "w", kind: "webhook", url }]);
  try {
    for (let at = 0; at < MAX_QUEUE + 20; at++) {
      b.set(`a${at}`, "failed");
      await b.clock.advance(60_000);
    }
    await until("the queue is full", () => notifier.view[0]!.waiting === MAX_QUEUE);
    await until("it is written down", () => b.saved.targets["w"]!.queue.length === MAX_QUEUE);
    const last = b.saved.targets["w"]!.queue.at(-1)!;
    assert.equal(last.events[0]!.account, `agent/a${MAX_QUEUE + 19}`);
  } finally {
    notifier.close();
  }
});

Deno.test("Notifier: an ntfy server takes it, with a title, tags and a click", async () => {
  const ntfy = startNtfy("tk_secret");
  const b = new Bench();
  const target = {
    ...base,
    name: "n",
    kind: "ntfy" as const,
    url: ntfy.url("my-topic"),
    secret: "tk_secret",
    include_text: true,
    link: "https://box/#/agent/{agent}",
  };
  const notifier = await b.start([target]);
  try {
    assert.deepEqual(await notifier.test(undefined), {
      results: [{ name: "n", ok: true, why: null }],
    });
    b.set("a", "waiting-approval");
    await b.clock.advance(25_000);
    await until("it came", () => ntfy.published.length === 2);
    const [, message] = ntfy.published;
    assert.deepEqual({ ...message, message: "" }, {
      topic: "my-topic",
      title: "agent/a waits for an approval",
      message: "",
      priority: 4,
      tags: ["raised_hand"],
      click: "https://box/#/agent/agent/a",
    });
    assert.match(message!["message"] as string, /UTC: the agent's words$/);
    await assert.rejects(notifier.test("other"), /there is no such target/);
  } finally {
    notifier.close();
    await ntfy.close();
  }
  const refusing = startNtfy("another");
  const c = new Bench();
  const other = await c.start([{ ...target, url: refusing.url("t") }]);
  const { results } = await other.test("n");
  assert.deepEqual(results, [{ name: "n", ok: false, why: "it answers with status 403" }]);
  other.close();
  await refusing.close();
});

Deno.test("Notifier: in the room operators are called, and programs can read it", async () => {
  const b = new Bench();
  const notifier = await b.start([{ ...base, name: "m", kind: "matrix" }]);
  b.set("a", "failed");
  b.set("b", "idle");
  await b.clock.advance(30_000);
  await until("it is posted", () => b.posted.length === 1);
  const { content, txn } = b.posted[0]!;
  assert.equal(content["body"], "agent/a has failed");
  assert.equal(content["msgtype"], "m.text");
  assert.deepEqual(content["m.mentions"], { user_ids: ["@operator:bureau.local"] });
  assert.equal(readNotice("attention", content)?.principals[0]?.state, "failed");
  assert.match(txn, /^bureau-notify-/);
  // A namesake made anew is told of anew.
  b.remove("a");
  b.set("a", "failed");
  await b.clock.advance(60_000);
  await until("it is posted again", () => b.posted.length === 2);
  notifier.close();
});

Deno.test("fileNotifyStore keeps what it was given, and a damaged file costs nothing else", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const store = fileNotifyStore(dir, log);
    assert.deepEqual((await store.load()).targets, {});
    const state: NotifyState = {
      version: 1,
      targets: { w: { told: { p: { state: "failed", what: "x", at: 1 } }, queue: [] } },
    };
    await store.save(state);
    assert.equal((await Deno.stat(`${dir}/notify.json`)).mode! & 0o777, 0o600);
    assert.deepEqual(await store.load(), state);
    await Deno.writeTextFile(`${dir}/notify.json`, "{");
    assert.deepEqual((await store.load()).targets, {});
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
