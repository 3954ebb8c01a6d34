// SPDX-License-Identifier: Apache-2.0

/** What a stand-in for a model does for each message of scenarios.ts, by its first word, however often it is asked. */
import { type Ask, fail, type Reply, say, type Turn } from "../../src/agent/testing/model/mod.ts";
import type { Call, Program } from "./programs.ts";

export type Turns = Readonly<Record<string, readonly Turn[]>>;

export class Play {
  /** What a model that never answers waits for: the end of the test. */
  readonly over = Promise.withResolvers<Reply>();
  readonly asked = new Map<string, Ask[]>();
  readonly #turns: Turns;

  /** @param more what else is asked of it */
  constructor({ tools, installed }: Program, more: Turns = {}) {
    // A program of another's is told; Bureau's own goes on with the conversation as it was.
    const knowsAgain = ({ lastText }: Ask) => installed === null || /started anew/.test(lastText);
    this.#turns = {
      EDIT: [
        ...tools.edits.map(call),
        call(tools.shell("wc -l <notes.txt; cat notes.txt >copy.txt")),
        (ask) => say(`It had ${/^\d+/m.exec(ask.toolResults.at(-1) ?? "")?.[0]} lines.`),
      ],
      KNOW: [knows, knows],
      HOLD: [
        () => this.over.promise,
        (ask) => say(knowsAgain(ask) ? "It said `finished`." : "I was not told that I was killed."),
      ],
      AFTER: [say("Still here.")],
      ...more,
    };
  }

  readonly script = (ask: Ask): Reply | Promise<Reply> => {
    const word = /@operator:\S+: ([A-Z]+)\b(?![^]*@operator:\S+: [A-Z])/.exec(ask.lastText)?.[1] ??
      "";
    const asks = this.asked.get(word) ?? [];
    this.asked.set(word, [...asks, ask]);
    const turn = this.#turns[word]?.[asks.length];
    if (turn === undefined) return fail(400, "invalid_request_error", `no turn for "${word}"`);
    return typeof turn === "function" ? turn(ask) : turn;
  };
}

export const call = ([name, input]: Call): Reply => ({
  kind: "say",
  text: ["I see to it."],
  tools: [{ name, input }],
});

const knows = (ask: Ask) =>
  say(JSON.stringify(ask.body).includes("EDIT the file") ? "It was notes.txt." : "Who?");
