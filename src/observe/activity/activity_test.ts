// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { Activity, type ActivityFrame, type ActivityScreen } from "./activity.ts";
import { look } from "./looks.ts";

/** A screen and a clock in a test's hand. */
class Bench {
  now = 1_000_000;
  text = "";
  timers: { at: number; act: () => void }[] = [];
  readonly frames: ActivityFrame[] = [];
  readonly activity: Activity;

  constructor() {
    const screen: ActivityScreen = {
      lines: () => this.text.split("\n"),
      cursor: () => {
        const lines = this.text.split("\n");
        return { x: lines.at(-1)!.length, y: lines.length - 1, visible: true };
      },
      title: () => "a\x1b title",
      alternate: () => false,
    };
    this.activity = new Activity(screen, {
      now: () => this.now,
      after: (ms, act) => {
        const timer = { at: this.now + ms, act };
        this.timers.push(timer);
        return () => this.timers = this.timers.filter((one) => one !== timer);
      },
    });
  }

  listen(): () => void {
    return this.activity.listen((frame) => this.frames.push(frame));
  }

  write(text: string): void {
    this.text += text;
    this.activity.output({ at: this.now });
  }

  pass(ms: number): void {
    const end = this.now + ms;
    while (true) {
      const [next] = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.timers = this.timers.filter((one) => one !== next);
      this.now = next.at;
      next.act();
    }
    this.now = end;
  }

  get last(): ActivityFrame {
    return this.frames.at(-1)!;
  }
}

Deno.test("Activity tells a question once it is quiet, and runs no timer after that", () => {
  const b = new Bench();
  b.listen();
  assert.equal(b.last.last_output, null);
  b.write("compiling\nOverwrite a.txt? [y/N] ");
  const asked = b.now;
  b.pass(1_000);
  assert.equal(b.last.quiet, false);
  assert.equal(b.last.looks, null);
  b.pass(1_500);
  assert.deepEqual(b.last, {
    type: "activity",
    at: b.last.at,
    last_output: asked,
    quiet: true,
    bell: null,
    typed: null,
    title: "a\\x1b title",
    last_line: "Overwrite a.txt? [y/N]",
    alternate: false,
    cursor: true,
    looks: { means: "waiting", kind: "generic", line: "Overwrite a.txt? [y/N]", since: asked },
  });
  assert.deepEqual(b.timers, []);
  const told = b.frames.length;
  b.pass(3_600_000);
  assert.equal(b.frames.length, told);
});

Deno.test("Activity tells a flood once a second, and nothing of it when nobody listens", () => {
  const b = new Bench();
  const leave = b.listen();
  for (let at = 0; at < 1_000; at++) {
    b.write(`line ${at}\n`);
    b.pass(10);
  }
  assert.ok(b.frames.length >= 9 && b.frames.length <= 12, `${b.frames.length}`);
  assert.ok(b.frames.slice(1).every(({ quiet }) => !quiet));
  leave();
  assert.deepEqual(b.timers, []);
  b.write("more\n");
  assert.deepEqual(b.timers, []);
  // Whoever comes later hears at once how it is.
  b.pass(10_000);
  b.listen();
  assert.equal(b.last.quiet, true);
  assert.equal(b.last.last_line, "more");
});

Deno.test("Activity keeps a question that is drawn anew, and forgets one that was answered", () => {
  const b = new Bench();
  b.listen();
  b.write("Password: ");
  const since = b.now;
  b.pass(5_000);
  assert.equal(b.last.looks?.since, since);
  // Somebody's window has another size: everything is drawn again.
  b.text = "";
  b.write("\nPassword: ");
  b.pass(5_000);
  assert.equal(b.last.looks?.since, since);
  b.activity.typed(b.now);
  b.write("\nPassword: ");
  const again = b.now;
  b.pass(5_000);
  assert.equal(b.last.looks?.since, again);
  assert.equal(b.last.typed, again);
});

Deno.test("Activity finds a question on a screen that is never quiet", () => {
  const b = new Bench();
  b.listen();
  for (let second = 0; second < 8; second++) {
    b.text = `elapsed ${second} s\n❯ 1. Yes\n  2. No`;
    b.activity.output({ at: b.now });
    b.pass(1_000);
  }
  assert.equal(b.last.quiet, false);
  assert.equal(b.last.looks?.kind, "claude-code");
});

Deno.test("Activity tells the bell, but not to whom it rings while typing", () => {
  const b = new Bench();
  b.listen();
  b.activity.bell(b.now);
  b.pass(1_000);
  assert.equal(b.last.bell, b.now - 1_000);
  b.activity.typed(b.now);
  b.activity.bell(b.now + 100);
  b.pass(2_000);
  assert.equal(b.last.bell, null);
});

Deno.test("Activity takes a template's patterns and leaves out what is none", () => {
  const b = new Bench();
  b.listen();
  b.activity.setWaiting(["(", "^READY FOR \\w+", 7]);
  b.write("READY FOR INPUT\nthis line is the last");
  b.pass(5_000);
  assert.deepEqual(b.last.looks?.kind, "template");
  assert.equal(b.last.looks?.line, "READY FOR INPUT");
});

/** As these programs draw it. */
const SCREENS: readonly (readonly [string, string, string | null])[] = [
  [
    "Claude Code asks for permission",
    "● Bash(rm -rf build)\n" +
    "╭──────────────────────────────────────────────╮\n" +
    "│ Bash command                                 │\n" +
    "│   rm -rf build                               │\n" +
    "│ Do you want to proceed?                      │\n" +
    "│ ❯ 1. Yes                                     │\n" +
    "│   2. Yes, and don't ask again this session   │\n" +
    "│   3. No, and tell Claude what to do (esc)    │\n" +
    "╰──────────────────────────────────────────────╯",
    "claude-code waiting Do you want to proceed?",
  ],
  [
    "Claude Code works",
    "> fix it\n\n✻ Thinking… (12s · ↑ 2k tokens · esc to interrupt)\n\n╭────╮\n│ >  │\n╰────╯\n  ? for shortcuts",
    null,
  ],
  [
    "Claude Code is at its prompt",
    "● Done.\n\n╭────────╮\n│ >      │\n╰────────╯\n  ? for shortcuts",
    "claude-code idle ? for shortcuts",
  ],
  [
    "Codex asks for approval",
    "  Would you like to run the following command?\n\n  $ make\n\n› 1. Yes, proceed (y)\n  2. No (esc)\n\n  Press enter to confirm or esc to cancel",
    "claude-code waiting Would you like to run the following command?",
  ],
  ["Codex works", "• Working (3s • esc to interrupt)\n\n› Find a bug\n\n  100% context left", null],
  ["Codex is at its prompt", "› Find a bug\n\n  100% context left", "codex idle 100% context left"],
  ["sudo", "$ sudo id\n[sudo] password for ada: ", "generic waiting [sudo] password for ada:"],
  [
    "ssh",
    "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
    "generic waiting Are you sure you want to continue connecting (yes/no/[fingerprint])?",
  ],
  ["apt", "Do you want to continue? [Y/n] ", "claude-code waiting Do you want to continue? [Y/n]"],
  ["a pause", "Press ENTER to continue ", "generic waiting Press ENTER to continue"],
  ["read -p", "Which one? ", "generic waiting Which one?"],
  ["bash", "ada@box:~/src$ ", "shell idle ada@box:~/src$"],
  ["root's shell", "/ # ", "shell idle / #"],
  ["python", 'Type "help" for more.\n>>> ', "shell idle >>>"],
  ["a build", "CC foo.o\nCC bar.o\n", null],
  ["an old question above", "Overwrite? [y/N] y\nwriting\ndone\n", null],
  ["nothing", "", null],
];

for (const [what, text, wanted] of SCREENS) {
  Deno.test(`look() at ${what}`, () => {
    const lines = text.split("\n").map((line) => line.trimEnd());
    const y = lines.length - 1;
    const found = look({
      lines: () => lines,
      cursor: () => ({ x: text.split("\n").at(-1)!.length, y, visible: true }),
    });
    assert.equal(found && `${found.kind} ${found.means} ${found.line}`, wanted);
  });
}

Deno.test("look() is done with any screen soon, and what it tells is harmless", () => {
  const character = fc.constantFrom(
    "a",
    " ",
    "?",
    "y",
    "/",
    "N",
    "[",
    "]",
    ":",
    "\x1b",
    "\u202e",
    "❯",
    "1",
    ".",
    "$",
  );
  const line = fc.array(character, { maxLength: 1_000 }).map((all) => all.join(""));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), fc.nat(80), fc.nat(70), (lines, x, y) => {
      const found = look({ lines: () => lines, cursor: () => ({ x, y, visible: true }) });
      if (found === null) return;
      assert.ok([...found.line].length <= 200);
      // deno-lint-ignore no-control-regex -- what must not be there
      assert.ok(!/[\x00-\x1f\u202e]/.test(found.line));
    }),
    { numRuns: 300 },
  );
});
