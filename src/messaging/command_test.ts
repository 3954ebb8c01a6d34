// SPDX-License-Identifier: Apache-2.0

/** Commands between two accounts on the embedded homeserver, and what strangers may make of them. */
import assert from "node:assert/strict";
import { SECRET, Server } from "../homeserver/_process.ts";
import { type Account, account, follow } from "./_accounts.ts";
import {
  type CallOptions,
  COMMAND_RESULT,
  CommandCaller,
  CommandError,
  CommandServer,
  type CommandServerOptions,
  inThread,
  type MatrixEvent,
  type Message,
  readCommand,
  readCommandResult,
  threadOf,
} from "./mod.ts";

const serverOf = (
  worker: Account,
  handlers: CommandServerOptions["handlers"],
  change: Partial<CommandServerOptions> = {},
) =>
  new CommandServer({
    userId: worker.id,
    send: async ({ room, type, content, txn }: Message) =>
      void await worker.send(room, type, content, txn),
    handlers,
    may: ({ sender }) => sender.startsWith("@asker"),
    signal: new AbortController().signal,
    onError: (error) => {
      throw error;
    },
    ...change,
  });

Deno.test("commands are done once and answered once, in a thread, in time", async (t) => {
  await using server = await Server.start();
  const asker = await account(server.url, "asker", SECRET);
  const worker = await account(server.url, "worker", SECRET);
  const stranger = await account(server.url, "stranger", SECRET);
  const room = await asker.createRoom({ invite: [worker.id, stranger.id] });
  await worker.join(room);
  await stranger.join(room);
  let runs = 0;
  const stop = new AbortController();
  const commands = serverOf(worker, {
    async add({ parameters, progress }) {
      runs++;
      await progress("at it");
      return Number(parameters["a"]) + Number(parameters["b"]);
    },
    fail: () => Promise.reject(new CommandError("no-disk", "Cannot write: the disk is full")),
    hang: () => new Promise(() => {}),
    long: () => Promise.resolve("x".repeat(70_000)),
  }, {
    async send({ room, type, content, txn }) {
      if (JSON.stringify(content).length > 60_000) {
        const { MessagingError } = await import("./mod.ts");
        throw new MessagingError("too-large", "Cannot send it: it is too long");
      }
      await worker.send(room, type, content, txn);
    },
    signal: stop.signal,
  });
  const caller = new CommandCaller({ client: asker });
  const commandEvents: MatrixEvent[] = [];
  await using _worker = await follow(worker, (where, event) => {
    if (readCommand(event) !== null) commandEvents.push(event);
    commands.handle(where, event);
  });
  await using _asker = await follow(asker, (where, event) => void caller.handle(where, event));
  const call = (command: string, more: Partial<CallOptions> = {}) =>
    caller.call({ room, to: worker.id, command, timeoutMs: 60_000, ...more });
  const answers = async () =>
    (await asker.messages(room, { limit: 100, dir: "f" })).chunk
      .filter((event) => readCommandResult(event) !== null);

  await t.step("the result comes back, after progress", async () => {
    const progress: string[] = [];
    const result = await call("add", {
      parameters: { a: 2, b: 3 },
      onProgress: ({ body }) => progress.push(body),
    });
    assert.equal(result, 5);
    assert.deepEqual(progress, ["at it"]);
    const [accepted, final] = await answers();
    assert.equal(threadOf(accepted!), commandEvents[0]!.event_id);
    assert.equal(final!.content["status"], "success");
  });

  await t.step("the same event again is not done again", async () => {
    const before = (await answers()).length;
    commands.handle(room, commandEvents[0]!);
    await commands.settled();
    assert.equal(runs, 1);
    // Another life of the process knows nothing of it; the homeserver knows its answer.
    const again = serverOf(worker, { add: () => Promise.resolve(6) });
    again.handle(room, commandEvents[0]!);
    await again.settled();
    assert.equal(
      (await answers()).filter(({ content }) => content["status"] === "success").length,
      1,
    );
    assert.ok((await answers()).length >= before);
  });

  await t.step("errors come with their code", async () => {
    await assert.rejects(call("fail"), {
      code: "no-disk",
      message: "Cannot write: the disk is full",
    });
    await assert.rejects(call("unheard"), { code: "not-found" });
    await assert.rejects(call("toString"), { code: "not-found" });
    await assert.rejects(call("long"), { code: "too-large" });
  });

  await t.step("who may not is told what one is told of nothing", async () => {
    const other = new CommandCaller({ client: stranger });
    await using _stranger = await follow(
      stranger,
      (where, event) => void other.handle(where, event),
    );
    await assert.rejects(
      other.call({ room, to: worker.id, command: "add", timeoutMs: 60_000 }),
      { code: "not-found" },
    );
    assert.equal(runs, 1);
  });

  await t.step("an answer of somebody else counts for nothing", async () => {
    const asked = Promise.withResolvers<string>();
    await using _watch = await follow(stranger, (_, event) => {
      const command = readCommand(event);
      if (command?.command === "hang") asked.resolve(`${event.event_id} ${command.request_id}`);
    });
    const given = new AbortController();
    const result = call("hang", { signal: given.signal });
    const [event, request_id] = (await asked.promise).split(" ");
    const forged = { msgtype: COMMAND_RESULT, body: "x", status: "success", request_id, result: 9 };
    const id = await stranger.send(room, "m.room.message", inThread(forged, event!), "forged");
    const seen = Promise.withResolvers<void>();
    await using _seen = await follow(asker, (where, event) => {
      caller.handle(where, event);
      if (event.event_id === id) seen.resolve();
    });
    await seen.promise;
    given.abort(new Error("enough"));
    await assert.rejects(result, /enough/);
  });

  await t.step("who gets no answer in time is told so", async () => {
    await assert.rejects(call("add", { to: stranger.id, timeoutMs: 50 }), { code: "deadline" });
  });

  await t.step("what takes too long is given up, and answered once", async () => {
    const sent: Message[] = [];
    let reason: unknown;
    const slow = serverOf(worker, {
      add({ signal, progress }) {
        return new Promise(() =>
          signal.addEventListener("abort", () => {
            reason = signal.reason;
            progress("too late").catch(() => {});
          })
        );
      },
    }, { send: (message) => Promise.resolve(void sent.push(message)) });
    const event = commandEvents[0]!;
    slow.handle(room, { ...event, content: { ...event.content, expires_at: Date.now() + 200 } });
    await slow.settled();
    assert.match(String(reason), /in time/);
    assert.deepEqual(sent.map(({ content }) => (content["error"] as { code: string }).code), [
      "deadline",
    ]);
  });

  await t.step("what comes too late is not begun", async () => {
    let began = false;
    const sent: Message[] = [];
    const late = serverOf(worker, { add: () => Promise.resolve(began = true) }, {
      send: (message) => Promise.resolve(void sent.push(message)),
    });
    const event = commandEvents[0]!;
    late.handle(room, { ...event, content: { ...event.content, expires_at: 1 } });
    late.handle(room, { ...event, event_id: "$2", content: { ...event.content, to: asker.id } });
    await late.settled();
    assert.equal(began, false);
    assert.equal(sent.length, 1);
    assert.equal((sent[0]!.content["error"] as { code: string }).code, "deadline");
  });

  await t.step("a server that ends answers nothing for what it did not finish", async () => {
    const before = (await answers()).length;
    stop.abort();
    await commands.settled();
    assert.equal((await answers()).length, before);
  });
});
