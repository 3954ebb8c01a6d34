// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Clock } from "../../lib/clock.ts";
import type { CastCode, CastEvent } from "../../lib/recording/mod.ts";
import { keysOf, markerAt, timeOf } from "./play.ts";
import { markersOf } from "./show.ts";
import { Player } from "./player.ts";
import { chosen } from "./source.ts";
import { newLines, Transcript } from "./transcript.ts";

async function told(
  events: readonly (readonly [at: number, code: CastCode, data: string])[],
  size = { cols: 40, rows: 5 },
): Promise<string[]> {
  const lines: string[] = [];
  const transcript = new Transcript(size, ({ text }) => lines.push(text));
  for (const [at, code, data] of events) await transcript.add({ at, code, data });
  await transcript.rest();
  transcript.dispose();
  return lines;
}

Deno.test("a transcript has each line once, also those that scrolled away", async () => {
  const lines = Array.from({ length: 300 }, (_, index) => `line ${index}`);
  assert.deepEqual(await told([[0, "o", `\x1b[?1049h\x1b[H${lines.join("\r\n")}`]]), lines);
  // As tmux scrolls: a region, a line feed at its end; and many lines at once.
  const scrolled = lines.slice(0, 9).map((line, index) =>
    [index * 100, "o", `\x1b[1;5r\x1b[5;1H\n${line}`] as const
  );
  assert.deepEqual(await told(scrolled), lines.slice(0, 9));
  assert.deepEqual(
    await told([[0, "o", "a\r\nb\r\nc"], [100, "o", "\x1b[2S\x1b[2;1Hd\r\ne"]]),
    ["a", "b", "c", "d", "e"],
  );
});

Deno.test("what rests is told, what is drawn over in between is not", async () => {
  const events = [
    [0, "o", "one\r\n10 %"],
    [100, "o", "\r20 %"],
    [200, "o", "\r90 %"],
    [5_000, "o", "\rdone\r\ntwo"],
    [9_000, "o", "\x1b[H\x1b[2Jone\r\nthree"],
  ] as const;
  assert.deepEqual(await told(events), ["one", "90 %", "done", "two", "three"]);
});

Deno.test("a screen that is drawn again, in another part or size, is not told again", async () => {
  const events = [
    [0, "o", "$ make\r\nok\r\n$ "],
    [60_000, "r", "40x5"],
    [60_000, "o", "\x1b[H\x1b[2J$ make\r\nok\r\n$ "],
    [62_000, "o", "ls\r\nfile"],
    [63_000, "m", "@ops:bureau.local watches\x1b]0;x\x07"],
  ] as const;
  assert.deepEqual(await told(events), [
    "$ make",
    "ok",
    "$",
    "$ ls",
    "file",
    "-- @ops:bureau.local watches\\x1b]0;x\\x07",
  ]);
});

Deno.test("no escape sequence comes out of a transcript", async () => {
  const hostile = "\x1b]52;c;aGk=\x07\x1bP$q\x1b\\\u009b31mred\u202eevil\x1b[31mred\x1b[0m\x07\x05";
  for (const line of await told([[0, "o", hostile]])) {
    // deno-lint-ignore no-control-regex -- what must not be there
    assert.ok(!/[\x00-\x1f\x7f-\x9f\u202e]/.test(line), JSON.stringify(line));
  }
});

Deno.test("new lines are what no longest common subsequence explains", () => {
  assert.deepEqual(newLines(["a", "b", "c"], ["b", "c", "d"]), ["d"]);
  assert.deepEqual(newLines([], ["a", "a"]), ["a", "a"]);
  assert.deepEqual(newLines(["a", "x", "b"], ["a", "y", "b", "b"]), ["y", "b"]);
  assert.deepEqual(newLines(["p", "q"], ["r"]), ["r"]);
});

const view = (id: string) => ({
  id,
  session: id.slice(20, 28),
  part: Number(id.slice(-4)),
  started: 0,
  ended: 0,
  bytes: 0,
  open: false,
});

Deno.test("which recording is meant", () => {
  const all = [
    "20261120T150102123Z-00000001.0001",
    "20261121T150102123Z-ab12cd34.0001",
    "20261121T160102123Z-ab12cd34.0002",
  ].map(view);
  const ids = (text?: string) => chosen(all, text, "x").map(({ id }) => id.slice(20));
  assert.deepEqual(ids(), ["ab12cd34.0002"]);
  assert.deepEqual(ids("ab12cd34"), ["ab12cd34.0001", "ab12cd34.0002"]);
  assert.deepEqual(ids("20261121T15"), ["ab12cd34.0001"]);
  assert.deepEqual(ids("all").length, 3);
  assert.throws(() => ids("2026"), /several/);
  assert.throws(() => ids("nosuch"), /Cannot find/);
  assert.throws(() => chosen([], undefined, "x"), /there is none/);
});

/** Time passes when it is slept. */
class SleptClock implements Clock {
  time = 0;
  readonly slept: number[] = [];
  /** Called in the middle of each sleep. */
  during: (turn: number) => void = () => {};

  now(): number {
    return this.time;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.slept.push(ms);
    this.time += ms / 2;
    await Promise.resolve();
    this.during(this.slept.length);
    if (signal?.aborted) throw signal.reason;
    this.time += ms / 2;
  }
}

const EVENTS: CastEvent[] = [
  { at: 0, code: "o", data: "a" },
  { at: 1_000, code: "o", data: "b" },
  { at: 1_500, code: "m", data: "not drawn" },
  { at: 61_500, code: "o", data: "c" },
  { at: 62_500, code: "o", data: "d" },
];

function player(change: { speed?: number; idleMs?: number; from?: number } = {}) {
  const clock = new SleptClock();
  let screen = "";
  const playing = new Player({
    events: EVENTS,
    speed: 1,
    idleMs: 2_000,
    from: 0,
    clock,
    draw: (text) => screen += text,
    clear: () => screen = "",
    ...change,
  });
  return { clock, playing, screen: () => screen };
}

Deno.test("a recording plays in its time, faster, and with shorter pauses", async () => {
  const usual = player();
  assert.equal(await usual.playing.run(), true);
  assert.deepEqual(usual.clock.slept, [1_000, 500, 2_000, 1_000]);
  assert.equal(usual.screen(), "abcd");
  const whole = player({ idleMs: 0, speed: 2 });
  await whole.playing.run();
  assert.deepEqual(whole.clock.slept, [500, 250, 30_000, 500]);
  const late = player({ from: 62_000 });
  await late.playing.run();
  assert.deepEqual([late.clock.slept, late.screen()], [[500], "abcd"]);
});

Deno.test("keys pause, move, change the speed and leave", async () => {
  const { clock, playing, screen } = player({ idleMs: 0 });
  const seen: string[] = [];
  clock.during = (turn) => {
    if (turn === 3) playing.press("faster");
    // Half of the long pause is over: a minute back is the beginning.
    if (turn === 4) {
      playing.press("far-back");
      seen.push(screen());
    }
    if (turn === 5) {
      playing.press("forth");
      seen.push(screen());
    }
    if (turn === 6) {
      playing.press("pause");
      queueMicrotask(() => setTimeout(() => playing.press("leave")));
    }
  };
  assert.equal(await playing.run(), false);
  assert.deepEqual(seen, ["a", "ab"]);
  assert.equal(playing.speed, 2);
});

Deno.test("markers: listed, found by number and words, and gone to by key", async () => {
  async function* events() {
    yield* EVENTS;
    yield { at: 61_600, code: "m" as const, data: "needs a person: waits\x1b[2J for input" };
  }
  const all = await Array.fromAsync(events());
  assert.deepEqual((await markersOf(events())).map(({ at }) => at), [1_500, 61_600]);
  assert.ok((await markersOf(events())).every(({ text }) => !text.includes("\x1b")));
  assert.deepEqual([markerAt(all, "1"), markerAt(all, "Needs a person")], [1_500, 61_600]);
  for (const none of ["3", "nothing"]) {
    assert.throws(() => markerAt(all, none), { code: "no-such-marker" });
  }
  const { playing, screen } = player();
  playing.press("marker-forth");
  assert.deepEqual([playing.at, screen()], [1_500, "ab"]);
  playing.press("marker-forth");
  assert.deepEqual([playing.at, screen()], [62_500, "abcd"]);
  playing.press("marker-back");
  assert.deepEqual([playing.at, screen()], [1_500, "ab"]);
  playing.press("marker-back");
  assert.deepEqual([playing.at, screen()], [0, "a"]);
});

Deno.test("keys and times as they are typed", () => {
  assert.deepEqual(keysOf(" \x1b[D\x1b[Cq\x03x"), ["pause", "back", "forth", "leave", "leave"]);
  assert.deepEqual(["90", "90s", "5m", "1h"].map(timeOf), [90_000, 90_000, 300_000, 3_600_000]);
  for (const wrong of ["", "-1", "1d", "1.5h", "m"]) assert.throws(() => timeOf(wrong), /Cannot/);
});
