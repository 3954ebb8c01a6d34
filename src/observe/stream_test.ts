// SPDX-License-Identifier: Apache-2.0

/** One stream for all: many watchers, floods, taps, and the relay's own death. */
import assert from "node:assert/strict";
import { FLOW_WINDOW_BYTES } from "./constants.ts";
import { BUSY_SCREEN, TmuxServer, until } from "./_session.ts";
import type { ScreenView, StreamTap } from "./tap.ts";
import { Drawn } from "./testing/drawn.ts";
import { Running } from "./testing/front.ts";

Deno.test("five watchers see the same bytes, and after a flood of 100 MB the same screen", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using relay = await Running.start(tmux);
  const all = Array.from({ length: 5 }, () => new Drawn(true));
  const watchers = await Promise.all(
    all.map((drawn, index) =>
      relay.attach(index === 0 ? "readwrite" : "readonly", 100, 30, {}, drawn.follow)
    ),
  );
  try {
    const [worker] = watchers;
    worker!.type("for i in 1 2 3 4 5 6 7 8 9; do seq $i 77; echo part-$((i*11)); done\r");
    await until("all are there", () => all.every(({ text }) => text.includes("part-99")));
    const end = Math.min(...all.map(({ offset }) => offset));
    const begin = Math.max(...all.map(({ start }) => start!));
    assert.ok(end - begin > 1000);
    for (const { bytes, start } of all) {
      const part = ({ bytes, start }: { bytes: number[]; start: number | null }) =>
        Uint8Array.from(bytes.slice(begin - start!, end - start!));
      assert.deepEqual(part({ bytes, start }), part(all[0]!));
    }
    // Some acknowledge nothing, and some do.
    const acknowledging = setInterval(() => {
      for (const watcher of watchers.slice(0, 3)) {
        watcher.send({ type: "ack", bytes: watcher.bytes });
      }
    }, 20);
    watchers[3]!.send({ type: "ack", bytes: 0 });
    try {
      worker!.type(
        "yes 0123456789012345678901234567890123456789 | head -c 100000000; echo over-$((6*7))\r",
      );
      await until("it is over", async () => (await tmux.screen()).includes("over-42"), 300_000);
      const late = new Drawn();
      await using _ = await relay.attach("readonly", 100, 30, {}, late.follow);
      watchers[3]!.send({ type: "ack", bytes: watchers[3]!.bytes });
      const text = (await tmux.screen()).trimEnd();
      await until("all see the end", () => [...all, late].every((drawn) => drawn.text === text));
    } finally {
      clearInterval(acknowledging);
    }
  } finally {
    for (const watcher of watchers) await watcher[Symbol.asyncDispose]();
  }
});

Deno.test("a watcher who takes nothing has a bounded amount on its way", async () => {
  await using tmux = await TmuxServer.start([
    "sh",
    "-c",
    BUSY_SCREEN,
  ]);
  await using relay = await Running.start(tmux);
  const drawn = new Drawn();
  await using stuck = await relay.attach("readonly", 100, 30, {}, drawn.follow);
  stuck.send({ type: "ack", bytes: 0 });
  await using quick = await relay.attach("readonly");
  await until("much was shown", () => quick.offset > drawn.offset + 2 * FLOW_WINDOW_BYTES);
  assert.ok(stuck.bytes <= FLOW_WINDOW_BYTES + 64 * 1024, `${stuck.bytes}`);
  // And goes on from a fresh screen, as often as it falls behind.
  for (let round = 1; round <= 2; round++) {
    stuck.send({ type: "ack", bytes: stuck.bytes });
    await until("a fresh screen", () => drawn.snapshots === 1 + round);
    await until("it is behind again", () => quick.offset > drawn.offset + FLOW_WINDOW_BYTES);
  }
});

Deno.test("taps get each part once, with a screen that has it; one that fails disturbs nobody", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  let screen: ScreenView | null = null;
  const told: string[] = [];
  const parts: { offset: number; bytes: Uint8Array }[] = [];
  let ended: string | null = null;
  const tap: StreamTap = {
    output: ({ offset, at, bytes }) => {
      assert.ok(Math.abs(Date.now() - at) < 60_000);
      parts.push({ offset, bytes: bytes.slice() });
    },
    resize: ({ cols, rows }) => void told.push(`${cols}x${rows}`),
    bell: () => void told.push("bell"),
    title: (text) => void told.push(`title ${text}`),
    watched: ({ what, who }) => void told.push(`${who} ${what}`),
    ended: async (reason) => {
      await Promise.resolve();
      ended = reason;
    },
  };
  const failing: StreamTap = {
    output: () => {
      throw new Error("no");
    },
    resize: () => {},
    ended: () => Promise.reject(new Error("never")),
  };
  {
    await using relay = await Running.start(tmux, [(view) => (screen = view, tap), () => failing]);
    const drawn = new Drawn(true);
    const query = { who: "alice" };
    await using worker = await relay.attach("readwrite", 90, 25, query, drawn.follow);
    worker.type("printf '\\033]2;a title\\007\\007done-%d\\n' 42\r");
    await until("it is shown", () => drawn.text.includes("done-42"));
    await until(
      "the bell and the title came",
      () => worker.last("bell") && worker.last("title")?.text.includes("title"),
    );
    assert.equal(screen!.lines().join("\n").trimEnd(), drawn.text);
    assert.deepEqual(screen!.size, { cols: 90, rows: 25 });
    assert.ok(screen!.cursor().visible);
    const bytes = parts.flatMap((part) => [...part.bytes]);
    assert.equal(
      parts.reduce((at, part) => (assert.equal(part.offset, at), at + part.bytes.length), 0),
      bytes.length,
    );
    const [from, to] = [drawn.start!, Math.min(bytes.length, drawn.offset)];
    assert.deepEqual(bytes.slice(from, to), drawn.bytes.slice(0, to - from));
  }
  assert.equal(ended, "the relay stops");
  for (const what of ["100x30", "90x25", "bell", "alice came", "alice types"]) {
    assert.ok(told.includes(what), `${what}: ${told}`);
  }
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.ok(told.every((text) => !/[\x00-\x1f\x7f-\x9f]/.test(text)), `${told}`);
});

Deno.test("nothing that a program or tmux asks the terminal is answered into the session", async () => {
  const questions = String
    .raw`\033[c\033[>c\033[6n\033[5n\033[?6n\033P$qm\033\\\033]10;?\007\033]52;c;?\007\033[18t\033[21t\033[?2026$p\005`;
  await using tmux = await TmuxServer.start([
    "sh",
    "-c",
    // What would be an answer is typed into `cat`, which shows it.
    `stty -echo; printf '\\033Ptmux;\\033\\033[6n\\033\\\\${questions}'; echo asked; exec cat -v`,
  ], ["set -g status off", "set -g allow-passthrough on", ""]);
  await using relay = await Running.start(tmux);
  await using watcher = await relay.attach("readwrite");
  await until("it asked", () => watcher.output.includes("asked"));
  watcher.type("typed\r");
  await until("what is typed is shown", async () => (await tmux.screen()).includes("typed"));
  // tmux answers what concerns its own screen; a terminal's answer to tmux's or to what passed is absent.
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.doesNotMatch(watcher.output, /\]52|\]10|P\$q|\x1b\[6n|\x1b\[c|\x1b\[>c/);
  assert.ok(watcher.isClean);
});
