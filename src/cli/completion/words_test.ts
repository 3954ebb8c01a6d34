// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { splitLine } from "./words.ts";

Deno.test("splitLine() reads words as a shell does, and the last one as far as it goes", () => {
  for (
    const [line, words] of [
      ["bureau ", ["bureau", ""]],
      ["bureau  agent li", ["bureau", "agent", "li"]],
      ["bureau send 'a b' \"c d", ["bureau", "send", "a b", "c d"]],
      ["bureau send \\#room:x", ["bureau", "send", "#room:x"]],
      ["bureau '' x\\", ["bureau", "", "x"]],
      ["bureau 'it\"s' ", ["bureau", 'it"s', ""]],
    ] as const
  ) assert.deepEqual(splitLine(line), words, line);
});
