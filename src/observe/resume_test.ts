// SPDX-License-Identifier: Apache-2.0

/** A connection may break at any byte: whoever comes back misses nothing and gets nothing twice. */
import assert from "node:assert/strict";
import { TestWatcher, TmuxServer, until } from "./_session.ts";
import { Drawn } from "./testing/drawn.ts";
import { Cutter, Front, Running } from "./testing/front.ts";

const QUERY = { mode: "readonly", cols: "100", rows: "30" };
/** Output of all kinds, not so much that a connection that breaks all the time cannot follow. */
const BUSY = `i=0; while :; do i=$((i+1));
  printf '\\033[3%dm%d é日本🎉 line\\033[0m\\n' $((i%8)) $i;
  seq 1 20; sleep 0.01; done`;

Deno.test("a watcher whose connection breaks at random goes on at the very byte", async () => {
  await using tmux = await TmuxServer.start(["sh", "-c", BUSY]);
  await using relay = await Running.start(tmux);
  await using front = await Front.start(relay.socket);
  const whole = new Drawn(true);
  const broken = new Drawn(true);
  // A frame that is cut counts for nothing: the further behind, the more comes before the next cut.
  const behind = () => broken.snapshots === 0 ? 0 : Math.max(0, whole.offset - broken.offset);
  const cutAfter = () => 400 + Math.floor(Math.random() * (6_000 + 2 * behind()));
  await using cutter = new Cutter(`${tmux.directory}/cut.sock`, front.socket, cutAfter);
  await using steady = await relay.attach("readonly", 100, 30, {}, whole.follow);
  await until("it is drawn", () => whole.offset > 1000);
  let stream: string | null = null;
  const progress = () => Math.min(whole.offset, broken.offset) - (broken.start ?? Infinity);
  while (cutter.cuts < 40 || !(progress() > 5_000)) {
    const query: Record<string, string> = stream === null || broken.snapshots === 0
      ? QUERY
      : { ...QUERY, stream, offset: String(broken.offset) };
    let watcher: TestWatcher;
    try {
      watcher = await TestWatcher.attach(cutter.socket, query, broken.follow);
    } catch {
      // Cut in the handshake.
      continue;
    }
    await watcher.closed;
    stream ??= watcher.last("metadata")?.stream ?? null;
    assert.equal(watcher.last("gap"), undefined);
    await watcher[Symbol.asyncDispose]();
  }
  assert.equal(
    broken.snapshots,
    1,
    "one screen at the beginning, then nothing but what was missing",
  );
  const from = Math.max(whole.start!, broken.start!);
  const to = Math.min(whole.offset, broken.offset);
  assert.ok(to > from, `${from}–${to}`);
  const part = ({ start, bytes }: Drawn) => bytes.slice(from - start!, to - start!);
  assert.deepEqual(Uint8Array.from(part(broken)), Uint8Array.from(part(whole)));
  assert.equal(steady.last("gap"), undefined);
});

Deno.test("who resumes what is not there gets a gap and the right screen", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  let offset = 0;
  let stream = "";
  {
    await using relay = await Running.start(tmux);
    await using watcher = await relay.attach("readwrite");
    watcher.type("echo one-$((1+1))\r");
    await until("it is shown", () => watcher.output.includes("one-2"));
    offset = watcher.offset;
    stream = watcher.last("metadata")!.stream;
    // Of this very stream, but of bytes that have not been.
    const drawn = new Drawn();
    await using ahead = await relay.attach(
      "readonly",
      100,
      30,
      { stream, offset: String(offset + 1e6) },
      drawn.follow,
    );
    await until("a screen", () => drawn.snapshots === 1);
    assert.equal(ahead.last("gap")!.lost_bytes, null);
  }
  await using relay = await Running.start(tmux);
  const drawn = new Drawn();
  await using again = await relay.attach(
    "readonly",
    100,
    30,
    { stream, offset: String(offset) },
    drawn.follow,
  );
  await until("the screen", () => drawn.text.includes("one-2"));
  assert.notEqual(again.last("metadata")!.stream, stream);
  assert.deepEqual(again.last("gap"), {
    type: "gap",
    lost_bytes: null,
    reason: "the relay was started anew",
  });
});

Deno.test("who asks what was sees the screen of then, and how it became the one of now", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using relay = await Running.start(tmux);
  await using worker = await relay.attach("readwrite");
  worker.type("echo first-$((1+1))\r");
  await until("it is shown", () => worker.output.includes("first-2"));
  const pause = Date.now();
  await until("time passes", () => Date.now() > pause + 2_500);
  worker.type("clear; echo second-$((1+1))\r");
  await until("it is shown", () => worker.output.includes("second-2"));
  const drawn = new Drawn();
  let first: string | null = null;
  const times: number[] = [];
  const since = String(Math.max(1, Math.floor((Date.now() - pause) / 1000) - 1));
  await using late = await relay.attach("readonly", 100, 30, { since }, (watcher) => {
    drawn.follow(watcher);
    const follow = watcher.onDrawn;
    watcher.onDrawn = (frame) => {
      follow(frame);
      if (frame.kind === "snapshot") first = drawn.text;
      if (frame.kind === "history") times.push(frame.at);
    };
  });
  await until("it is at the present", () => drawn.offset === worker.offset);
  assert.match(first!, /first-2/);
  assert.doesNotMatch(first!, /second-2/);
  assert.ok(times.length > 0 && times.every((at) => at > pause && at <= Date.now()));
  assert.equal(drawn.text, (await tmux.screen()).trimEnd());
  assert.deepEqual(late.kinds.filter((kind) => kind === "snapshot" || kind === "history"), [
    "snapshot",
    "history",
  ]);
  // Before anything was: from the beginning.
  await using eldest = await relay.attach("readonly", 100, 30, { since: "999999" });
  await until("all of it", () => eldest.offset === worker.offset);
  assert.match(eldest.output, /first-2[^]*second-2/);
});
