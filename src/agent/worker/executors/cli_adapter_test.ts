// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { completeSpec } from "../../provision/mod.ts";
import { outcomeOf, withProgram } from "../testing/program.ts";
import { cliAdapter } from "./cli_adapter.ts";

Deno.test("a program's lines are events, and its text the result", async () => {
  const { terminal, events } = await outcomeOf("read x; echo \"got $x\"; printf 'and more'", "a b");
  assert.deepEqual(events, [
    { type: "output", text: "got a b" },
    { type: "output", text: "and more" },
  ]);
  assert.deepEqual(terminal, {
    kind: "terminal",
    status: "completed",
    result: "got a b\nand more",
  });
});

Deno.test("how a program ended is how its run did, in its own last words", async () => {
  const failed = await outcomeOf("cat >/dev/null; echo out; echo sorry >&2; exit 3", "x");
  assert.equal(failed.terminal["status"], "error");
  assert.equal(failed.terminal["error"], "the program ended with status 3: sorry");
  const killed = await outcomeOf("kill -SEGV $$", "x");
  assert.equal(killed.terminal["error"], "the program ended by SIGSEGV");
  const absent = await outcomeOf("exit", "x", [], {
    executor: { kind: "cli_adapter", command: "/nowhere/claude", args: [] },
  });
  assert.match(String(absent.terminal["error"]), /^Cannot start "\/nowhere\/claude"/);
  // One that reads nothing of a long assignment is still heard.
  const deaf = await outcomeOf("exec <&-; echo deaf", "x".repeat(1_000_000));
  assert.equal(deaf.terminal["result"], "deaf");
  assert.throws(() =>
    cliAdapter(completeSpec({
      version: 1,
      identity: { child_id: "c" },
      executor: { kind: "cli_adapter", command: "", args: [] },
      fabric_dir: "/f",
    })), { code: "no-command" });
  assert.throws(() =>
    cliAdapter(completeSpec({
      version: 1,
      identity: { child_id: "c" },
      executor: { kind: "cli_adapter", command: "claude", args: ["--output-format=stream-json"] },
      fabric_dir: "/f",
    })), { code: "no-stream-json" });
});

Deno.test("a program has an environment of its own, and a home that no other run sees", async () => {
  Deno.env.set("BUREAU_TEST_LEAK", "leaked");
  try {
    await withProgram(
      "cat >/dev/null; env | sort | cut -d = -f 1; ls -A $HOME; pwd; touch $HOME/left $TMPDIR/too",
      async ({ say, until, frames }) => {
        const terminals = () => frames.filter(({ kind }) => kind === "terminal");
        for (let count = 1; count <= 2; count++) {
          say({ kind: "run", assignment: "x" });
          await until(() => terminals().length === count);
        }
        for (const { result } of terminals()) {
          assert.deepEqual(String(result).split("\n"), [
            "HOME",
            "LANG",
            "PATH",
            "PWD",
            "TMPDIR",
            "/",
          ]);
        }
      },
      [],
      { workspace: "/" },
    );
  } finally {
    Deno.env.delete("BUREAU_TEST_LEAK");
  }
});

Deno.test("cancelled, a program is asked, then killed with all that it started", async () => {
  const script = `trap '' TERM; (trap '' TERM; exec sleep 600) & echo $!; wait; sleep 600`;
  await withProgram(script, async ({ say, until, frames }) => {
    say({ kind: "run", assignment: "x" });
    await until((frames) => frames.length === 1);
    const pid = Number(frames[0]!.event!["text"]);
    say({ kind: "cancel" });
    await until((frames) => frames.length === 2);
    assert.deepEqual(frames[1], { kind: "terminal", status: "cancelled" });
    for (let left = 3_000; left > 0; left--) {
      const state = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => ") X");
      if (/\) [ZX]/.test(state)) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.fail("what it started lives on");
  });
});

Deno.test("what a program leaves running when it ends does not hold up its run", async () => {
  const { terminal } = await outcomeOf("cat >/dev/null; sleep 600 & echo done", "x");
  assert.deepEqual(terminal, { kind: "terminal", status: "completed", result: "done" });
});

Deno.test("long lines come in parts, and none is lost", async () => {
  const script = "cat >/dev/null; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo end";
  const { terminal, events } = await outcomeOf(script, "x");
  assert.equal(terminal["status"], "completed");
  const texts = events.map((event) => (event as { text: string }).text);
  assert.equal(texts.slice(0, -1).join("").length, 9_000_000);
  assert.equal(texts.at(-1), "end");
  assert.ok(texts.length < 10);
});
