// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { FLOW_WINDOW_BYTES, ObserveDown } from "./api.ts";
import { BUSY_SCREEN, TmuxServer, until } from "./_session.ts";
import { Running } from "./testing/front.ts";

Deno.test("Relay shows the present screen to a watcher who comes late, metadata first", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await tmux.tmux("send-keys", "-t", "=agent:", "echo before-$((40+2))", "Enter");
  await until("the agent wrote", async () => (await tmux.screen()).includes("before-42"));
  await using relay = await Running.start(tmux);
  await using watcher = await relay.attach("readonly");
  await until("the screen came", () => watcher.output.includes("before-42"));
  const first = ObserveDown.parse(watcher.frames[0]);
  assert.equal(first.type, "metadata");
  const { stream, offset, watchers, ...rest } = watcher.last("metadata")!;
  assert.deepEqual(rest, {
    type: "metadata",
    version: 2,
    principal: "bureau/fleet/dev/agent/scribe",
    machine: "@bureau/fleet/dev/machine/m:bureau.local",
    cols: 100,
    rows: 30,
    mode: "readonly",
    watcher: watchers[0]!.id,
    writer: null,
  });
  assert.ok(stream.length > 10 && offset >= 0);
  assert.equal(watcher.kinds[0], "metadata");
  assert.ok(!watcher.output.includes("/dev/pts"), "the terminal's name is not shown");
  await using second = await relay.attach("readwrite", 100, 30, { who: "@bob:b", watcher: "two" });
  await until("the second has metadata", () => second.frames.length > 0);
  assert.deepEqual(
    second.last("metadata")!.watchers.map(({ id, who, mode }) => [id, who, mode]),
    [[watchers[0]!.id, "somebody", "readonly"], ["two", "@bob:b", "readwrite"]],
  );
  await until("the first hears of it", () => watcher.last("watchers")?.watchers.length === 2);
  await second[Symbol.asyncDispose]();
  await until("and of the end", () => watcher.last("watchers")?.watchers.length === 1);
});

Deno.test("Relay types for a readwrite watcher, and everybody sees it", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using relay = await Running.start(tmux);
  await using worker = await relay.attach("readwrite");
  await using reader = await relay.attach("readonly");
  worker.type("echo é-$((6*7))\r");
  await until("the answer is shown", () => worker.output.includes("é-42"));
  await until("and to the reader", () => reader.output.includes("é-42"));
});

Deno.test("Relay types nothing for a readonly watcher", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using relay = await Running.start(tmux);
  await using reader = await relay.attach("readonly");
  reader.type("echo forbidden\r");
  reader.send("echo forbidden");
  reader.send({ type: "resize", cols: 20, rows: 5 });
  await using worker = await relay.attach("readwrite");
  worker.type("echo allowed\r");
  await until("the control arrives", async () => (await tmux.screen()).includes("allowed"));
  assert.doesNotMatch(await tmux.screen(), /forbidden/);
});

Deno.test("Relay leaves the agent alone when watchers leave, and when it goes itself", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  {
    await using relay = await Running.start(tmux);
    for (let round = 0; round < 3; round++) {
      await using worker = await relay.attach("readwrite");
      worker.type(`echo round-${round}\r`);
      await until("it arrived", () => worker.output.includes(`round-${round}`));
    }
    assert.equal(await tmux.clients(), 1, "one for all");
  }
  await until("no client is left", async () => await tmux.clients() === 0);
  // A ^D from `script` would have ended the shell.
  assert.equal(await tmux.tmux("list-panes", "-F", "#{pane_dead}"), "0");
});

Deno.test("Relay sizes the screen for who types, not for who watches", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using relay = await Running.start(tmux);
  await using reader = await relay.attach("readonly", 30, 10);
  await using worker = await relay.attach("readwrite", 90, 25);
  await until("both are there", () => reader.last("watchers")?.watchers.length === 2);
  reader.send({ type: "resize", cols: 25, rows: 9 });
  reader.send({ type: "take" });
  reader.send({ type: "screen" });
  await until("it was heard", () => reader.last("screen"));
  assert.equal(await tmux.size(), "100x30", "who does not type changes nothing");
  worker.send({ type: "take" });
  await until("the first size counts", async () => await tmux.size() === "90x25");
  assert.deepEqual(reader.last("size"), { type: "size", cols: 90, rows: 25 });
  // Bursts while a window is dragged: the last one holds.
  for (let cols = 60; cols <= 70; cols++) worker.send({ type: "resize", cols, rows: 20 });
  await until("the last size counts", async () => await tmux.size() === "70x20");
  // tmux tells the agent a moment later than itself.
  await until("the agent knows", () => {
    worker.type("stty size\r");
    return worker.output.includes("20 70");
  });
  for (const bad of [{ cols: 0, rows: 1 }, { cols: 1e9, rows: 5 }, { cols: "9; id", rows: 5 }]) {
    worker.send({ type: "resize", ...bad });
  }
  worker.send({ type: "resize", cols: 71, rows: 21 });
  await until("bad sizes are ignored", async () => await tmux.size() === "71x21");
  await worker[Symbol.asyncDispose]();
  await until("the keyboard is free", () => reader.last("watchers")?.writer === null);
  assert.equal(await tmux.size(), "71x21");
  await using next = await relay.attach("readwrite", 80, 22);
  next.type("\r");
  await until("the next one counts again", async () => await tmux.size() === "80x22");
  next.send({ type: "resize", cols: 81, rows: 23 });
  await until("and may resize", async () => await tmux.size() === "81x23");
});

Deno.test("Relay gives a watcher no tmux command, when the server is configured as the launcher does", async () => {
  const commands = [
    "\x02:run-shell 'touch MARK'\r",
    "\x02d",
    "\x02c",
    "\x02?",
    "\x1b[24~",
    "\x1bOP",
  ];
  const attempt = async (configuration?: string[]): Promise<boolean> => {
    await using tmux = await TmuxServer.start(["cat"], configuration);
    await using relay = await Running.start(tmux);
    await using worker = await relay.attach("readwrite");
    // Keys that waited for tmux's client would come all at once.
    worker.type("ready\r");
    await until("keys arrive", () => worker.output.includes("ready"));
    const done = `done-${configuration?.length ?? 0}`;
    for (const key of commands.join("").replace("MARK", `${tmux.directory}/mark`) + `\r${done}\r`) {
      worker.type(key);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    const marked = () => Deno.stat(`${tmux.directory}/mark`).then(() => true, () => false);
    const windows = async () => (await tmux.tmux("list-windows")).split("\n").length;
    await until(
      "it was handled",
      async () => await marked() || (await tmux.screen()).includes(done) || await windows() > 1,
    );
    return await marked() || await windows() > 1 || await tmux.clients() === 0;
  };
  assert.equal(await attempt(), false);
  // Control: with tmux's own keys the same bytes are commands.
  // (It takes keys that come together for a paste, which binds nothing.)
  const own = ["set -g status off", "set -g assume-paste-time 0", ""];
  assert.equal(await attempt(own), true);
});

Deno.test("Relay takes out what would act on the watcher's terminal", async () => {
  // Everything that tmux might pass on, and tmux's own questions at attach.
  const configuration = [
    "set -g status off",
    "set -s set-clipboard on",
    "set -g set-titles on",
    "set -g allow-passthrough on",
    "set -as terminal-features 'xterm*:clipboard:title:hyperlinks'",
    "",
  ];
  await using tmux = await TmuxServer.start([
    "sh",
    "-c",
    String
      .raw`printf '\033]52;c;ZXZpbA==\007\033Ptmux;\033\033]52;c;ZXZpbA==\007\033\\\033]2;evil\007\033[6n\033[c'; echo shown; exec cat`,
  ], configuration);
  await using relay = await Running.start(tmux);
  await using watcher = await relay.attach("readonly");
  await until("the screen came", () => watcher.output.includes("shown"));
  await tmux.tmux("set-buffer", "-w", "evil");
  await tmux.tmux("send-keys", "-t", "=agent:", "after", "Enter");
  await until("more came", () => watcher.output.includes("after"));
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.ok(!/ZXZpbA|\x1b\]|\x1bP|\x1b\[>|\x1b\[c/.test(watcher.output), watcher.output);
  assert.ok(watcher.isClean);
});

Deno.test("Relay answers `screen` with plain lines", async () => {
  await using tmux = await TmuxServer.start([
    "sh",
    "-c",
    "printf '\\033[31mred\\033[0m\\n'; exec cat",
  ]);
  await using relay = await Running.start(tmux);
  await using watcher = await relay.attach("readonly");
  await until("the screen came", () => watcher.output.includes("red"));
  watcher.send({ type: "screen" });
  await until("it answers", () => watcher.frames.some(({ type }) => type === "screen"));
  const frame = watcher.frames.find((frame) => frame.type === "screen") as { lines: string[] };
  assert.equal(frame.lines[0], "red");
});

Deno.test("Relay says so when the session ends, and does not start where there is none", async () => {
  const tmux = await TmuxServer.start(["cat"]);
  const relay = await Running.start(tmux);
  try {
    await using watcher = await relay.attach("readonly");
    await until("tmux has drawn", () => watcher.offset > 0);
    await tmux.tmux("kill-server");
    await watcher.closed;
    assert.deepEqual(watcher.frames.at(-1), { type: "exit", reason: "the session ended" });
    await relay.finished;
    await assert.rejects(Running.start(tmux), /the session is not there/);
  } finally {
    await relay[Symbol.asyncDispose]();
    await tmux[Symbol.asyncDispose]();
  }
});

Deno.test("Relay gives a slow watcher a gap and a fresh screen, and the agent its speed", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using relay = await Running.start(tmux);
  await using slow = await relay.attach("readwrite");
  await using quick = await relay.attach("readonly");
  slow.send({ type: "ack", bytes: 0 });
  await Deno.writeTextFile(`${tmux.directory}/busy`, BUSY_SCREEN);
  slow.type(`sh ${tmux.directory}/busy\r`);
  // The agent goes on although this watcher acknowledges nothing.
  await until("one is behind", () => quick.offset > slow.offset + FLOW_WINDOW_BYTES);
  assert.ok(slow.bytes <= FLOW_WINDOW_BYTES + 64 * 1024, `${slow.bytes}`);
  slow.type("\x03");
  await until("it is over", async () => {
    slow.type("clear; echo flood-$((1+1))\r");
    return (await tmux.screen()).includes("flood-2");
  });
  await until("who is quick sees it", () => quick.output.includes("flood-2"));
  assert.ok(!slow.output.includes("flood-2"));
  const before = slow.offset;
  let drawn: number | null = null;
  slow.onDrawn = (frame) => frame.kind === "snapshot" && (drawn = frame.offset);
  slow.send({ type: "ack", bytes: slow.bytes });
  await until("it catches up", () => slow.output.includes("flood-2"));
  assert.equal(slow.last("gap")!.lost_bytes, drawn! - before);
  const gap = slow.kinds.indexOf("gap");
  assert.deepEqual(slow.kinds.slice(gap, gap + 2), ["gap", "snapshot"]);
});

Deno.test("Relay refuses what is no attachment", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using relay = await Running.start(tmux);
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: relay.socket } });
  try {
    for (const [path, status] of [["/", 404], ["/v1/attach", 426]] as const) {
      const response = await fetch(`http://192.0.2.1${path}`, { client });
      assert.equal(response.status, status);
      assert.ok((await response.json()).error.code);
    }
  } finally {
    client.close();
  }
});
