// SPDX-License-Identifier: Apache-2.0

/** The daemon process with a real homeserver, a webhook, and relays whose screens the test draws. */
import assert from "node:assert/strict";
import type { Template } from "../../lib/schema/mod.ts";
import { Activity, serveActivity } from "../../observe/activity/mod.ts";
import type { AttentionEvent } from "../api.ts";
import { Bench, FLEET, until } from "../bench_test.ts";
import { startHook } from "./notify/receivers_test.ts";

const template: Template = {
  description: "t",
  command: ["/bin/true"],
  attention: { waiting: ["^CHOOSE:"], idle_after_seconds: 5 },
};
const A = `${FLEET}/agent/a`;
const SLOW_MS = 120_000;

/** Serves one principal's activity as its relay does, of a screen in the test's hand. */
class Screen implements AsyncDisposable {
  text = "";
  activity!: Activity;
  /** What its recording would hold. */
  readonly marks: string[] = [];
  #server!: Deno.HttpServer;
  readonly #sockets = new Set<WebSocket>();
  readonly #path: string;

  constructor(b: Bench, principal: string) {
    const { hash } = b.launcher.cells.get(principal)!;
    this.#path = `${b.setup.run}/p/${hash}/observe/relay.sock`;
    this.start();
  }

  start(): void {
    this.activity = new Activity({
      lines: () => this.text.split("\n"),
      cursor: () => ({ x: 1_000, y: this.text.split("\n").length - 1, visible: true }),
      title: () => "",
      alternate: () => false,
    });
    this.activity.output({ at: Date.now() });
    this.#server = Deno.serve({ path: this.#path, onListen() {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request);
      this.#sockets.add(socket);
      serveActivity(socket, this.activity, (text) => this.marks.push(text));
      return response;
    });
  }

  write(text: string): void {
    this.text += text;
    this.activity.output({ at: Date.now() });
  }

  /** As a relay does that is killed. */
  async kill(): Promise<void> {
    this.activity.ended();
    for (const socket of this.#sockets) socket.close();
    this.#sockets.clear();
    await this.#server.shutdown();
    await Deno.remove(this.#path).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

Deno.test("the daemon knows who needs a person, tells them once, and survives every death", async (t) => {
  await using b = await Bench.start();
  const hook = startHook("key");
  await b.publish("t", template);
  b.notify = [{
    name: "w",
    kind: "webhook",
    url: hook.url,
    secret: "key",
    states: ["failed", "waiting-approval", "waiting-input"],
    after_ms: 0,
    include_text: false,
  }];
  await b.startDaemon();
  await b.assign("agent/a", template, { restart_policy: "never" });
  await until(() => b.launcher.cells.has(A), "it runs", SLOW_MS);
  await using screen = new Screen(b, A);
  const attention = async (wanted: string) =>
    await until(
      async () => {
        // A daemon that has just begun knows nobody yet.
        const view = await b.view("agent/a").catch(() => null);
        if (view === null) return null;
        const { state, reason } = view.attention ?? {};
        return `${state} ${reason}` === wanted ? view : null;
      },
      wanted,
      SLOW_MS,
    );
  try {
    await t.step("a question is seen, with its line, and told without it", async () => {
      screen.write("building\nOverwrite a.txt? [y/N] ");
      const view = await attention("waiting-input question");
      assert.equal(view.last_line, "Overwrite a.txt? [y/N]");
      assert.equal(view.attention?.message, "Overwrite a.txt? [y/N]");
      assert.equal(view.attention?.unseen, true);
      await until(() => screen.marks.length > 0, "its recording is marked", SLOW_MS);
      assert.deepEqual(screen.marks, ["needs a person: waits for input (question)"]);
      await until(() => hook.bodies.length === 1, "the message", SLOW_MS);
      assert.equal(hook.bodies[0]!.title, "agent/a waits for input");
      assert.ok(!JSON.stringify(hook.bodies[0]).includes("a.txt"));
    });

    await t.step("the death of daemon and relay, in any order, tells nobody again", async () => {
      for (const what of ["daemon", "relay", "both"]) {
        if (what !== "relay") await b.stopDaemon("SIGKILL");
        if (what !== "daemon") {
          await screen.kill();
          screen.start();
        }
        if (what !== "relay") await b.startDaemon();
        await attention("waiting-input question");
      }
    });

    await t.step("a stream tells of each change, to who may see it", async () => {
      const client = b.client();
      const stop = new AbortController();
      try {
        const events: AttentionEvent[] = [];
        const stream = client.events("attention", { signal: stop.signal });
        const reading = (async () => {
          for await (const event of stream) events.push(event as AttentionEvent);
        })().catch(() => {});
        await until(() => events[0]?.all === true, "everything at once", SLOW_MS);
        assert.equal(events[0]!.principals[0]?.attention.state, "waiting-input");
        screen.activity.typed(Date.now());
        screen.write("y\nwriting\n");
        await until(
          () => events.at(-1)?.principals[0]?.attention.state === "working",
          "it works",
          SLOW_MS,
        );
        stop.abort();
        await reading;
      } finally {
        client.close();
      }
    });

    await t.step(
      "quiet is idle after what its template says; its pattern is a question",
      async () => {
        await attention("idle quiet");
        // After all those deaths. A daemon that is killed before it wrote down that a message was taken sends it again.
        assert.equal(new Set(hook.bodies.map(({ id }) => id)).size, 1);
        screen.write("CHOOSE: one or two\nof these\n");
        const view = await attention("waiting-input question");
        assert.equal(view.attention?.message, "CHOOSE: one or two");
      },
    );

    await t.step("what it says of itself counts more, also for the next daemon", async () => {
      const said = { state: "waiting", message: "which\x1b[31m one?", at: Date.now() };
      b.launcher.said.set(A, said);
      await b.launcher.startProxy(A);
      const view = await attention("waiting-input said");
      assert.equal(view.attention?.message, "which\\x1b[31m one?");
      await b.stopDaemon("SIGKILL");
      await b.startDaemon();
      const again = await attention("waiting-input said");
      assert.equal(again.attention?.since, said.at);
    });

    await t.step("one that fails is told of as failed", async () => {
      const before = hook.bodies.length;
      b.launcher.exit(A, 3);
      await until(
        () => hook.bodies.slice(before).some(({ events }) => events[0]?.state === "failed"),
        "failed",
        2 * SLOW_MS,
      );
    });

    await t.step("operators see whom it tells, and that it was taken", async () => {
      const client = b.client();
      try {
        const { targets } = await client.call("notifyTargets");
        assert.deepEqual(targets.map(({ name, waiting }) => [name, waiting]), [["w", 0]]);
        const { results } = await client.call("notifyTest", { body: {} });
        assert.deepEqual(results, [{ name: "w", ok: true, why: null }]);
        assert.equal(hook.bodies.at(-1)!.test, true);
      } finally {
        client.close();
      }
    });

    assert.deepEqual(hook.problems, []);
  } finally {
    await hook.close();
  }
});
