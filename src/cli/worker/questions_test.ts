// SPDX-License-Identifier: Apache-2.0

/** What a person sees of a worker's question, and what counts as an answer. */
import assert from "node:assert/strict";
import type { ApproverQuestion } from "../../agent/parent/api.ts";
import { FakeClock } from "../../daemon/asks/fake_clock_test.ts";
import { APPROVAL_TIMEOUT_MS } from "../../lib/approval/limits.ts";
import { TerminalQuestions } from "./questions.ts";

const question = (resource: string): ApproverQuestion => ({
  worker: "builder",
  tool: "bash",
  permission: "execute-command",
  resource,
});
const never = new AbortController().signal;

class Screen {
  readonly clock = new FakeClock();
  shown = "";
  readonly questions: TerminalQuestions;
  readonly #keys = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>();
  readonly #writer = this.#keys.writable.getWriter();

  constructor() {
    this.questions = new TerminalQuestions({
      input: this.#keys.readable,
      write: (text) => this.shown += text,
      clock: this.clock,
    });
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
    await settled();
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await settled();
  }
}

/** Whatever is ready has been done. */
const settled = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("a question shows the whole call, harmless; only a yes allows it", async () => {
  for (
    const [typed, approved] of [["y", true], ["YES ", true], ["", false], ["n", false], [
      "yy",
      false,
    ]]
  ) {
    const screen = new Screen();
    const answer = screen.questions.ask(
      { ...question(`rm \x1b[2Jx\nAllow this ${"é".repeat(80)}`), reason: "tidy" },
      never,
    );
    await settled();
    assert.equal(
      screen.shown,
      [
        "\nbuilder asks whether it may call bash (execute-command):",
        "  | rm \\x1b[2Jx",
        `  | Allow this ${"é".repeat(61)}`,
        `  | ${"é".repeat(19)}`,
        "because, it says:",
        "  | tidy",
        "Allow this one call? [y/N, 300 s] ",
      ].join("\n"),
    );
    await screen.type(`${typed}\n`);
    assert.equal((await answer).approved, approved, `"${typed}"`);
    await screen.close();
  }
});

Deno.test("several are asked one after the other; what was typed before answers none of them", async () => {
  const screen = new Screen();
  await screen.type("y\ny\n");
  const [first, second] = ["one", "two"].map((call) => screen.questions.ask(question(call), never));
  await settled();
  assert.match(screen.shown, /one/);
  assert.doesNotMatch(screen.shown, /two/);
  await screen.type("n\n");
  assert.equal((await first!).approved, false);
  await settled();
  await screen.type("y\n");
  assert.equal((await second!).approved, true);
  await screen.close();
});

Deno.test("no answer within 300 s, nobody who waits, and a closed terminal are a no", async () => {
  const screen = new Screen();
  const late = screen.questions.ask(question("late"), never);
  const withdrawal = new AbortController();
  const withdrawn = screen.questions.ask(question("withdrawn"), withdrawal.signal);
  await settled();
  await screen.clock.advance(APPROVAL_TIMEOUT_MS - 1);
  assert.doesNotMatch(screen.shown, /refused/);
  await screen.clock.advance(1);
  assert.deepEqual(await late, { approved: false, why: "nobody answered in time" });
  withdrawal.abort();
  assert.equal((await withdrawn).approved, false);
  const open = screen.questions.ask(question("open"), never);
  await settled();
  await screen.close();
  assert.deepEqual(await open, { approved: false, why: "the terminal was closed" });
  const after = await screen.questions.ask(question("after"), never);
  assert.equal(after.approved, false);
  assert.doesNotMatch(screen.shown, /after/);
});
