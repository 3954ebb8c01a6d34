// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Progress } from "./progress.ts";

function terminal(columns = 80) {
  let written = "";
  let now = 0;
  return {
    write: (text: string) => void (written += text),
    columns: () => columns,
    now: () => now,
    pass: (ms: number) => void (now += ms),
    take: () => {
      const taken = written;
      written = "";
      return taken;
    },
  };
}

Deno.test("progress is said after a second, with the time, and leaves nothing", () => {
  const at = terminal();
  {
    using progress = new Progress(at, "waiting for agent/scribe");
    at.pass(900);
    progress.draw();
    assert.equal(at.take(), "", "what is quick says nothing");
    at.pass(2_300);
    progress.draw();
    assert.equal(at.take(), "\r\x1b[K⠋ waiting for agent/scribe (3 s)");
    progress.say("almost\x1b[31m there");
    assert.equal(at.take(), "\r\x1b[K⠙ almost\\x1b[31m there (3 s)");
    progress.clear();
    assert.equal(at.take(), "\r\x1b[K", "room for a line of output");
    progress.draw();
    at.take();
  }
  assert.equal(at.take(), "\r\x1b[K");
});

Deno.test("progress keeps to one line", () => {
  const at = terminal(20);
  using progress = new Progress(at, "waiting for something with a long name");
  at.pass(5_000);
  progress.draw();
  assert.equal(at.take(), "\r\x1b[K⠋ waiting for some…");
});
