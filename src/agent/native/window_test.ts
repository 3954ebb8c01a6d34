// SPDX-License-Identifier: Apache-2.0

/** What is left out of a conversation, for any conversation. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Block, Message } from "../model/types.ts";
import { charsOf, Estimator, fitted, windowOf } from "./window.ts";

interface Turn {
  readonly said: string;
  /** Lengths of the results of each round's calls; what was said meanwhile. */
  readonly rounds: readonly { readonly results: readonly number[]; readonly steering: boolean }[];
  readonly isAnswered: boolean;
}

const turn = fc.record({
  said: fc.string({ minLength: 1, maxLength: 50 }),
  rounds: fc.array(
    fc.record({
      results: fc.array(fc.nat(9000), { minLength: 1, maxLength: 3 }),
      steering: fc.boolean(),
    }),
    { maxLength: 5 },
  ),
  isAnswered: fc.boolean(),
});

function conversation(turns: readonly Turn[]): Message[] {
  const messages: Message[] = [];
  const text = (text: string): Block => ({ type: "text", text });
  for (const [at, { said, rounds, isAnswered }] of turns.entries()) {
    messages.push({ role: "user", content: [text(`#${at} ${said}`)] });
    for (const [round, { results, steering }] of rounds.entries()) {
      const ids = results.map((_, call) => `t${at}.${round}.${call}`);
      messages.push({
        role: "assistant",
        content: ids.map((id) => ({ type: "tool_use", id, name: "bash", input: {} })),
      });
      const content: Block[] = ids.map((id, call) => ({
        type: "tool_result",
        id,
        output: "x".repeat(results[call]!),
        is_error: false,
      }));
      if (steering) content.push(text(`!${at}.${round}`));
      messages.push({ role: "user", content });
    }
    // Only the last turn may be without its answer.
    if (isAnswered || at < turns.length - 1) {
      messages.push({ role: "assistant", content: [text("answer")] });
    }
  }
  return messages;
}

const idsOf = (message: Message | undefined, type: "tool_use" | "tool_result") =>
  (message?.content ?? []).flatMap((block) => block.type === type ? [block.id] : []);

Deno.test("no call is parted from its result, sides take turns, first and last turn stay", () => {
  fc.assert(
    fc.property(fc.array(turn, { minLength: 1, maxLength: 8 }), fc.nat(60_000), (turns, most) => {
      const messages = conversation(turns);
      const kept = fitted(messages, most);
      if (charsOf(messages) <= most) assert.equal(kept, messages);
      for (const [at, message] of kept.entries()) {
        assert.equal(message.role, at % 2 === 0 ? "user" : "assistant");
        assert.ok(message.content.length > 0);
        assert.deepEqual(idsOf(message, "tool_result"), idsOf(kept[at - 1], "tool_use"));
      }
      if (idsOf(messages.at(-1), "tool_use").length === 0) {
        assert.equal(idsOf(kept.at(-1), "tool_use").length, 0);
      }
      const text = JSON.stringify(kept);
      for (const at of [0, turns.length - 1]) {
        const [wanted] = messages.filter(({ content: [block] }) =>
          block?.type === "text" && block.text === `#${at} ${turns[at]!.said}`
        );
        assert.ok(text.includes(JSON.stringify(wanted!.content[0])), `turn ${at}`);
        for (const [round, { steering }] of turns[at]!.rounds.entries()) {
          if (steering) assert.ok(text.includes(`"!${at}.${round}"`), "what was said meanwhile");
        }
      }
      assert.ok(charsOf(kept) <= charsOf(messages) + 100);
      assert.deepEqual(fitted(kept, charsOf(kept)), kept);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("how long a token is, is learnt; how much a model takes, is known", () => {
  const estimator = new Estimator();
  assert.equal(estimator.tokens(400), 100);
  for (let at = 0; at < 30; at++) estimator.learn(3000, 1000);
  assert.ok(Math.abs(estimator.tokens(3000) - 1000) < 10);
  // A few characters say nothing.
  estimator.learn(10, 1);
  assert.ok(Math.abs(estimator.tokens(3000) - 1000) < 10);
  assert.deepEqual(
    ["claude-x", "us.anthropic.claude-x", "gpt-4.1-mini", "unheard-of"].map(windowOf),
    [200_000, 200_000, 1_000_000, 128_000],
  );
});
