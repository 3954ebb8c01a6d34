// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { failureOf } from "./errors.ts";
import { Rights } from "./rights.ts";
import { grants } from "./testing/scene.ts";

Deno.test("an answer that never comes allows nothing, and the question is given up", async () => {
  let givenUp = false;
  let answers = true;
  const rights = new Rights({
    read: (signal) =>
      answers
        ? Promise.resolve(grants("**"))
        : new Promise((_, reject) =>
          signal.addEventListener("abort", () => {
            givenUp = true;
            reject(signal.reason);
          })
        ),
    // Ten seconds are over at once, yet after whatever is there already.
    clock: { ...systemClock, sleep: () => new Promise((resolve) => setTimeout(resolve, 0)) },
    everyMs: 1,
    signal: new AbortController().signal,
  });
  await rights.refresh();
  assert.equal(rights.may("command/x"), true);
  answers = false;
  await rights.refresh();
  assert.equal(rights.may("command/x"), false);
  assert.deepEqual([failureOf(rights.failure).category, givenUp], ["transient", true]);
});

Deno.test("who asks while an answer is on its way gets one that was asked for after that", async () => {
  let asked = 0;
  const doors: (() => void)[] = [];
  const rights = new Rights({
    read: () => {
      const policy = grants(`command/${asked++}`);
      return new Promise((resolve) => doors.push(() => resolve(policy)));
    },
    clock: systemClock,
    everyMs: 1,
    signal: new AbortController().signal,
  });
  const first = rights.refresh();
  const [second, third] = [rights.refresh(), rights.refresh()];
  doors[0]!();
  await first;
  assert.equal(rights.may("command/0"), true);
  // Microtasks alone stand between the first answer and the next question.
  while (doors.length < 2) await Promise.resolve();
  doors[1]!();
  await Promise.all([second, third]);
  assert.equal(rights.may("command/0"), false);
  assert.equal(rights.may("command/1"), true);
  assert.equal(asked, 2, "two who waited share one question");
});
