// SPDX-License-Identifier: Apache-2.0

/** What is said to a program while it works: of that turn, of one that it begins itself, or of the next. */
import assert from "node:assert/strict";
import { ClaudeProtocol } from "./claude.ts";
import { CodexProtocol } from "./codex.ts";
import { type Protocol, startProgram, type Told } from "./program.ts";

const DONE = { status: "completed", result: null, error: null } as const;

/** Over `cat`: hears everything that it said itself. */
class Echo implements Protocol {
  constructor(private readonly told: Told) {}

  begin(): void {
    this.told.ready();
  }

  turn(text: string): void {
    this.told.write(`turn ${text}`);
  }

  steer(text: string, key: string): void {
    this.told.write(`${text} ${key}`);
  }

  interrupt(): void {}

  line(line: string): void {
    const [word, key = ""] = line.split(" ");
    if (word === "never") this.told.steered(key, "refused");
    if (word === "now") this.told.steered(key, "taken");
    if (word === "late" || line === "turn never") this.told.end(DONE);
    if (word !== "late") return;
    // As Claude Code: what came too late for one turn is another, and nobody has to begin it.
    this.told.steered(key, "taken");
    this.told.end(DONE);
  }
}

Deno.test("each message is told when the agent has it, and the next end is its own", async () => {
  const session = startProgram(
    { command: ["/bin/cat"], cwd: "/", env: {}, arguments: [] },
    (told) => new Echo(told),
  );
  session.send("first", { id: "1", steers: true });
  for (const [at, text] of ["now", "never", "late"].entries()) {
    session.send(text, { id: `${at + 2}`, steers: true });
  }
  const told: string[] = [];
  let ends = 0;
  for await (const event of session.events) {
    if (event.type === "prompt") told.push(event.id!);
    if (event.type !== "end") continue;
    told.push("end");
    if (++ends === 3) void session.close();
  }
  assert.deepEqual(told, ["1", "2", "end", "4", "end", "3", "end"]);
});

Deno.test("a program that dies: what its agent never had has an end without a prompt", async () => {
  const session = startProgram(
    { command: ["/bin/sh", "-c", "read -r one; exit 3"], cwd: "/", env: {}, arguments: [] },
    (told) => new Echo(told),
  );
  session.send("first", { id: "1" });
  session.send("second", { id: "2", steers: true });
  const told: string[] = [];
  for await (const event of session.events) {
    if (event.type === "prompt") told.push(event.id!);
    if (event.type === "end") told.push(event.error!);
  }
  const why = "the program ended with status 3";
  assert.deepEqual(told, ["1", why, why]);
});

/** Without a program. */
class Bench implements Told {
  readonly written: Record<string, unknown>[] = [];
  readonly became: string[] = [];
  readonly write = (line: string) => void this.written.push(JSON.parse(line));
  readonly event = () => {};
  readonly steered = (key: string, how: string) => void this.became.push(`${key} ${how}`);
  readonly end = () => void this.became.push("end");
  readonly ready = () => {};
  readonly fail = assert.fail;
}

Deno.test("Claude Code is given what steers as it is given a turn, and says what became of it", () => {
  const bench = new Bench();
  const claude = new ClaudeProtocol(bench, {});
  claude.turn("one", "k1");
  claude.steer("two", "k2");
  claude.steer("three", "k3");
  assert.deepEqual(bench.written.map(({ uuid, message }) => [uuid, message]), [
    ["k1", { role: "user", content: "one" }],
    ["k2", { role: "user", content: "two" }],
    ["k3", { role: "user", content: "three" }],
  ]);
  const say = (message: unknown) => claude.line(JSON.stringify(message));
  // Recorded from 2.1.330.
  const of = (command_uuid: string, state: string) =>
    say({ type: "command_lifecycle", command_uuid, state, uuid: "x", session_id: "s" });
  of("k2", "queued");
  of("k2", "started");
  say({ type: "result", subtype: "success", is_error: false, result: "done" });
  of("k2", "completed");
  of("k3", "started");
  assert.deepEqual(bench.became, ["k2 taken", "end", "k3 taken"]);
});

Deno.test("Codex is given what steers once its turn has a name; what it refuses or forgets is refused", () => {
  const bench = new Bench();
  const codex = new CodexProtocol(bench, { cwd: "/workspace" });
  const say = (message: unknown) => codex.line(JSON.stringify(message));
  const answer = (method: string, more: object) => {
    const { id } = bench.written.findLast((asked) => asked["method"] === method)!;
    say({ id, ...more });
  };
  codex.begin();
  answer("initialize", { result: {} });
  answer("thread/start", { result: { thread: { id: "t" } } });
  codex.turn("one");
  codex.steer("two", "k2");
  const steers = () => bench.written.filter(({ method }) => method === "turn/steer");
  assert.equal(steers().length, 0);
  answer("turn/start", { result: { turn: { id: "u" } } });
  assert.deepEqual(steers()[0]!["params"], {
    threadId: "t",
    expectedTurnId: "u",
    clientUserMessageId: "k2",
    input: [{ type: "text", text: "two", text_elements: [] }],
  });
  answer("turn/steer", { result: { turnId: "u" } });
  const item = { type: "userMessage", id: "i", clientId: "k2", content: [] };
  say({ method: "item/completed", params: { threadId: "t", turnId: "u", item } });
  codex.steer("three", "k3");
  answer("turn/steer", { error: { code: -32600, message: "no active turn to steer" } });
  codex.steer("four", "k4");
  answer("turn/steer", { result: { turnId: "u" } });
  say({ method: "turn/completed", params: { threadId: "t", turn: { status: "completed" } } });
  assert.deepEqual(bench.became, ["k2 taken", "k3 refused", "end", "k4 refused"]);
});
