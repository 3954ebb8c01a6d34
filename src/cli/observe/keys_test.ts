// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Action, Keys } from "./keys.ts";

const PREFIX = "\x1d";

function typed(chunks: readonly string[]): { text: string; actions: Action[] } {
  let text = "";
  const actions: Action[] = [];
  const keys = new Keys({
    type: (bytes) => text += String.fromCharCode(...bytes),
    act: (action) => void actions.push(action),
    place: (x, y) => x > 80 ? null : { x: x + 10, y: y + 5 },
  });
  for (const chunk of chunks) {
    keys.feed(Uint8Array.from(chunk, (char) => char.charCodeAt(0)));
  }
  return { text, actions };
}

Deno.test("what is no command of ours reaches the agent as it was typed, however it is cut", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 20 })), (chunks) => {
    const texts = chunks.map((chunk) =>
      String.fromCharCode(...chunk.filter((byte) => byte !== 0x1d && byte !== 0x1b))
    );
    assert.deepEqual(typed(texts), { text: texts.join(""), actions: [] });
  }));
});

Deno.test("ctrl-] and a key is a command; twice it is itself", () => {
  assert.deepEqual(typed([`a${PREFIX}db`]), { text: "ab", actions: ["detach"] });
  assert.deepEqual(typed(["a", PREFIX, "t", `${PREFIX}`, "r"]), {
    text: "a",
    actions: ["take", "release"],
  });
  assert.deepEqual(typed([`${PREFIX}${PREFIX}x`]), { text: `${PREFIX}x`, actions: [] });
  assert.deepEqual(typed([`${PREFIX}?${PREFIX}z`]), { text: "", actions: ["help", "help"] });
  assert.deepEqual(typed([`${PREFIX}\x1b[A${PREFIX}\x1bOB`]), {
    text: "",
    actions: ["up", "down"],
  });
});

Deno.test("within a paste nothing is a command", () => {
  const paste = `\x1b[200~x${PREFIX}dy\x1b[201~`;
  assert.deepEqual(typed([paste, `${PREFIX}d`]), { text: paste, actions: ["detach"] });
});

Deno.test("a mouse is where the agent's screen is, also when its report is cut", () => {
  const { text } = typed(["\x1b[<0;3", ";4M", "\x1b[<0;81;4M", "\x1b[<0;1;1mx"]);
  assert.equal(text, "\x1b[<0;13;9M\x1b[<0;11;6mx");
});
