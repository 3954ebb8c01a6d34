// SPDX-License-Identifier: Apache-2.0

/** Those parts of the page that need no browser. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeFrame } from "../observe/wire.ts";
import { parseCast, parseSize, Reel } from "./page/cast.ts";
import { decodeControl, decodeDown, encodeInput } from "./page/frames.ts";
import { bytes, clockTime, shortName, stateOf } from "./page/names.ts";

Deno.test("the page reads the frames that the relay writes, and writes those that it reads", () => {
  const body = fc.uint8Array({ maxLength: 40 });
  fc.assert(fc.property(fc.nat(2 ** 40), body, (offset, bytes) => {
    assert.deepEqual(
      decodeDown(encodeFrame({ kind: "output", offset, bytes }).buffer),
      { kind: "output", offset, bytes },
    );
    const snapshot = { kind: "snapshot", offset, cols: 80, rows: 24, bytes } as const;
    assert.deepEqual(decodeDown(encodeFrame(snapshot).buffer), snapshot);
  }));
  const input = { kind: "input", bytes: new TextEncoder().encode("é\r") } as const;
  assert.deepEqual(encodeInput("é\r"), encodeFrame(input));
});

Deno.test("decodeDown() and decodeControl() take anything, and make nothing of what is none", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (all) => {
    const frame = decodeDown(all.slice().buffer);
    assert.ok(frame === null || all[0] === 1 || all[0] === 2);
  }));
  fc.assert(fc.property(fc.string(), (text) => {
    decodeControl(text);
  }));
  for (const text of ["", "null", "[]", "{}", '{"type":1}']) {
    assert.equal(decodeControl(text), null);
  }
});

const HEADER = '{"version":3,"term":{"cols":80,"rows":24}}\n';

Deno.test("parseCast() reads asciicast v3, and of a damaged one what is whole", () => {
  const cast = parseCast(
    `${HEADER}# a comment\n[0.5, "o", "a"]\n[1, "r", "100x30"]\n[0.25, "m", "mark"]\n[0, "x", "0"]\n`,
  )!;
  assert.deepEqual([cast.cols, cast.rows, cast.length], [80, 24, 1750]);
  assert.deepEqual(cast.events.map(({ at, code }) => `${at}${code}`), [
    "500o",
    "1500r",
    "1750m",
    "1750x",
  ]);
  for (const cut of ['[1, "o", "b', "{", '["1", "o", "b"]', '[-1, "o", "b"]']) {
    assert.equal(parseCast(`${HEADER}[0.5, "o", "a"]\n${cut}\n[9, "o", "c"]\n`)!.events.length, 1);
  }
  for (
    const none of ["", "x", '{"version":2,"width":80,"height":24}', HEADER.replace("80", "0"), "[]"]
  ) assert.equal(parseCast(none), null);
  assert.equal(parseSize("0x5"), null);
  assert.equal(parseSize("80x24x1"), null);
});

Deno.test("Reel draws the same whichever way it comes to a moment", () => {
  const event = fc.oneof(
    fc.record({ seconds: fc.nat(50), code: fc.constant("o"), data: fc.string({ maxLength: 5 }) }),
    fc.record({ seconds: fc.nat(50), code: fc.constant("r"), data: fc.constant("90x20") }),
  );
  fc.assert(fc.property(
    fc.array(event, { maxLength: 30 }),
    fc.array(fc.nat(2_000_000), { maxLength: 12 }),
    (events, moves) => {
      const lines = events.map((one) => JSON.stringify([one.seconds, one.code, one.data]));
      const cast = parseCast(`${HEADER}${lines.join("\n")}\n`)!;
      /** What a terminal would hold, all that was ever drawn since its reset. */
      const screen = (state: string, reel: Reel, to: number) =>
        reel.moveTo(to).reduce(
          (before, step) =>
            step.kind === "reset"
              ? `(${step.cols}x${step.rows})`
              : before + (step.kind === "draw" ? step.text : `(${step.cols}x${step.rows})`),
          state,
        );
      const reel = new Reel(cast);
      let state = "";
      for (const to of moves) {
        state = screen(state, reel, to);
        assert.equal(state, screen("", new Reel(cast), to));
        assert.equal(reel.position, Math.min(to, cast.length));
      }
    },
  ));
});

Deno.test("names, sizes and states are put for people", () => {
  assert.equal(shortName("bureau/fleet/dev/agent/a/b"), "agent/a/b");
  assert.equal(shortName("odd"), "odd");
  assert.deepEqual([0, 999, 1_234, 12_345, 5e9].map(bytes), [
    "0 B",
    "999 B",
    "1.2 KB",
    "12 KB",
    "5.0 GB",
  ]);
  assert.deepEqual([5, 65, 3_725].map(clockTime), ["0:05", "1:05", "1:02:05"]);
  const agent = { principal: "p", phase: "running", watchers: 0, message: null };
  assert.equal(stateOf(agent, false).text, "running");
  assert.equal(stateOf(agent, true).text, "waits for approval");
  const attention = { state: "waiting-input", since: 0, message: null } as const;
  assert.ok(stateOf({ ...agent, attention }, false).rank < stateOf(agent, false).rank);
});
