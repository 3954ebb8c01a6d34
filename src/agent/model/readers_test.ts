// SPDX-License-Identifier: Apache-2.0

/** Whatever a server streams, a reader ends or says in a typed error why not. */
import fc from "fast-check";
import { anthropic } from "./anthropic.ts";
import { ModelError } from "./errors.ts";
import { openaiChat } from "./openai_chat.ts";
import { openaiResponses } from "./openai_responses.ts";
import { Telling } from "./telling.ts";
import { type Fields, type Piece, toolUse } from "./types.ts";

const names =
  "type index content_block delta text thinking partial_json signature message usage model " +
  "choices content tool_calls function name arguments id finish_reason error code output_index item " +
  "response status output summary incomplete_details reason input_tokens prompt_tokens_details cached_tokens";
const kinds =
  "message_start content_block_start content_block_delta message_delta message_stop error ping " +
  "tool_use input_json_delta redacted_thinking response.output_item.done response.completed response.failed " +
  "response.output_text.delta function_call reasoning message";
const { event } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(...kinds.split(" ")),
    fc.string({ maxLength: 5 }),
    fc.constantFrom(0, 1, 2, -1, 1.5, 4e9, null, true),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("event"),
  ),
  event: fc.dictionary(fc.constantFrom(...names.split(" ")), tie("value"), { maxKeys: 6 }),
}));

for (const [name, wire] of Object.entries({ anthropic, openaiChat, openaiResponses })) {
  Deno.test(`${name}: any stream is read, or refused in a typed error`, () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 8 }), (events) => {
        const reader = wire.reader("m");
        for (const each of events) {
          try {
            reader.read("message", each as Fields);
          } catch (thrown) {
            if (!(thrown instanceof ModelError)) throw thrown;
          }
        }
        const { content, usage } = reader.answer();
        const counts = Object.values(usage).filter((value) => typeof value === "number");
        return counts.every((count) => Number.isInteger(count) && count >= 0) &&
          content.every((block) => block.type !== "tool_use" || typeof block.input === "object");
      }),
      { numRuns: 500 },
    );
  });
}

Deno.test("arguments are always an object", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (json) => {
    const { input } = toolUse("id", "name", json);
    return typeof input === "object" && input !== null && !Array.isArray(input);
  }));
});

Deno.test("over any attempts, what is shown in the end is the last one's words", () => {
  const words = fc.array(fc.constantFrom("a", "b", "ab", "ba "), { maxLength: 6 });
  fc.assert(
    fc.property(fc.array(words, { minLength: 1, maxLength: 4 }), (attempts) => {
      let shown = "";
      const telling = new Telling((piece: Piece) => {
        if (piece.type === "reset") shown = "";
        else shown += piece.text;
      });
      for (const attempt of attempts) {
        telling.begin();
        for (const text of attempt) telling.tell({ type: "text", text });
      }
      telling.end();
      return shown === attempts.at(-1)!.join("");
    }),
    { numRuns: 2000 },
  );
});
