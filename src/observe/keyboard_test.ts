// SPDX-License-Identifier: Apache-2.0

/** Who types, who only watches, and what becomes of that while they do: with frames made by hand, too. */
import assert from "node:assert/strict";
import { OBSERVE_PROTOCOL } from "./api.ts";
import { TestWatcher, TmuxServer, until } from "./_session.ts";
import { Front, Running } from "./testing/front.ts";
import { encodeFrame } from "./wire.ts";

const READONLY = { mode: "readonly", cols: "100", rows: "30" };
const READWRITE = { mode: "readwrite", cols: "100", rows: "30" };
const encode = (text: string) => new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;

Deno.test("one types at a time, others are told who, and taking over is seen by all", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using relay = await Running.start(tmux);
  const attach = (who: string, mode: "readonly" | "readwrite") =>
    relay.attach(mode, 100, 30, { who, watcher: `id-${who}` });
  await using alice = await attach("alice", "readwrite");
  await using bob = await attach("bob", "readwrite");
  await using reader = await attach("reader", "readonly");
  alice.type("from-alice\r");
  await until("the keyboard is hers", () => reader.last("watchers")?.writer === "id-alice");
  bob.type("from-bob\r");
  bob.type("from-bob\r");
  await until("he is told", () => bob.last("mode"));
  assert.deepEqual(bob.last("mode"), {
    type: "mode",
    mode: "readwrite",
    writer: "id-alice",
    reason: "alice has the keyboard",
  });
  alice.type("more-alice\r");
  await until("she types on", () => reader.output.includes("more-alice"));
  assert.doesNotMatch(await tmux.screen(), /from-bob/);
  assert.equal(bob.kinds.filter((kind) => kind === "mode").length, 1, "told once");
  bob.send({ type: "take" });
  await until("she hears of it", () => alice.last("mode")?.reason === "bob took the keyboard");
  bob.type("taken-bob\r");
  await until("now he types", () => reader.output.includes("taken-bob"));
  assert.equal(reader.last("watchers")!.writer, "id-bob");
  alice.type("after-alice\r");
  await until("she is told as well", () => alice.last("mode")?.reason === "bob has the keyboard");
  bob.send({ type: "release" });
  await until("it is free", () => reader.last("watchers")?.writer === null);
  alice.type("again-alice\r");
  await until("typing takes it", () => reader.output.includes("again-alice"));
  assert.doesNotMatch(await tmux.screen(), /after-alice/);
  await alice[Symbol.asyncDispose]();
  await until("who leaves lets go", () => reader.last("watchers")?.writer === null);
  reader.send({ type: "take" });
  reader.send({ type: "screen" });
  await until("it was heard", () => reader.last("screen"));
  assert.equal(reader.last("watchers")!.writer, null);
});

Deno.test("a watcher without the right types nothing, whatever frames are made by hand; a writer does", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using relay = await Running.start(tmux);
  await using front = await Front.start(relay.socket, "@eve:b");
  const attempt = async (watcher: TestWatcher, word: string) => {
    watcher.send({ type: "may", mode: "readwrite" });
    watcher.send({ type: "take" });
    watcher.send({ type: "mode", mode: "readwrite", writer: null, reason: "" });
    watcher.send({ type: "resize", cols: 33, rows: 11 });
    for (const kind of ["output", "snapshot", "history", "input"] as const) {
      const head = { offset: 0, at: 0, cols: 80, rows: 24, bytes: encode(`${word}-${kind}\r`) };
      watcher.sendBytes(encodeFrame({ kind, ...head }));
    }
    watcher.sendBytes(encode(`${word}-bare\r`));
    watcher.sendBytes(new Uint8Array());
    watcher.send(`${word}-text\r`);
    watcher.send({ type: "screen" });
    await until("all of it was heard", () => watcher.last("screen"));
  };
  // By the daemon's door, asking for more than is granted, and calling itself somebody else.
  front.may = "readonly";
  await using eve = await TestWatcher.attach(front.socket, {
    ...READWRITE,
    who: "@operator:b",
    watcher: "chosen",
  });
  await until("it is there", () => eve.last("metadata"));
  const { mode, watchers, watcher } = eve.last("metadata")!;
  assert.equal(mode, "readonly");
  assert.equal(watchers.find(({ id }) => id === watcher)!.who, "@eve:b");
  assert.notEqual(watcher, "chosen");
  await attempt(eve, "eve");
  // By the relay's own door, where only `may`, which the daemon alone can say, would help.
  await using reader = await relay.attach("readonly");
  reader.sendBytes(encodeFrame({ kind: "input", bytes: encode("reader-input\r") }));
  reader.sendBytes(encode("reader-bare\r"));
  reader.send({ type: "take" });
  reader.send({ type: "screen" });
  await until("it was heard", () => reader.last("screen"));
  // Control: the same frames of one who may.
  front.may = "readwrite";
  await using writer = await TestWatcher.attach(front.socket, READWRITE);
  await attempt(writer, "writer");
  await until("the writer's arrive", async () => (await tmux.screen()).includes("writer-input"));
  assert.doesNotMatch(await tmux.screen(), /eve|reader|writer-(?!input)/);
  assert.equal(await tmux.size(), "33x11", "the writer's size alone");
});

Deno.test("rights that change while somebody watches change what they may, at once and both ways", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using relay = await Running.start(tmux);
  await using front = await Front.start(relay.socket);
  await using typist = await TestWatcher.attach(front.socket, READWRITE);
  await using reader = await TestWatcher.attach(front.socket, READONLY);
  typist.type("one\r");
  await until("it types", () => reader.output.includes("one"));
  front.may = "readonly";
  await until("it is told", () => typist.last("mode")?.mode === "readonly");
  assert.equal(reader.last("watchers")!.writer, null);
  typist.type("forbidden\r");
  front.may = "readwrite";
  await until("it is told again", () => typist.last("mode")?.mode === "readwrite");
  typist.type("two\r");
  await until("it types again", () => reader.output.includes("two"));
  assert.doesNotMatch(await tmux.screen(), /forbidden/);
  assert.equal(reader.last("mode"), undefined, "who asked to watch only watches");
  assert.deepEqual(front.began, ["readwrite", "readonly", "readonly", "readwrite"]);
  assert.equal(front.ended, 2);
  front.may = null;
  await Promise.all([typist.closed, reader.closed]);
  assert.deepEqual(typist.frames.at(-1), { type: "exit", reason: "you may not watch it any more" });
  assert.equal(front.ended, 4);
});

Deno.test("too much input at once ends its sender, and nobody else", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using relay = await Running.start(tmux);
  await using worker = await relay.attach("readwrite");
  await using greedy = await relay.attach("readwrite");
  greedy.type("x".repeat(65 * 1024));
  await greedy.closed;
  worker.type("still here\r");
  await until("others type on", () => worker.output.includes("still here"));
  assert.equal(OBSERVE_PROTOCOL, "bureau.observe.v2");
});

Deno.test("the mouse of a writer reaches a program that asked for it", async () => {
  await using tmux = await TmuxServer.start([
    "sh",
    "-c",
    "stty raw -echo; printf '\\033[?1000h\\033[?1006hready'; dd bs=1 count=12 2>/dev/null | od -An -c | tr -d ' \\n'; sleep 1000",
  ]);
  await using relay = await Running.start(tmux);
  await using worker = await relay.attach("readwrite");
  await until("it is drawn", () => worker.output.includes("ready"));
  await until("the mode came through", () => worker.output.includes("\x1b[?1000h"));
  worker.type("\x1b[<0;10;5M\x1b[<0;10;5m");
  await until("it was told", async () => (await tmux.screen()).includes("033[<0;10;5M"));
});
