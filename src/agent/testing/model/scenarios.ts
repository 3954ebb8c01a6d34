// SPDX-License-Identifier: Apache-2.0

/**
 * A script that is chosen by the model's name, which every client lets its user set: what clients must be
 * able to live through. `tests/interop/programs/{anthropic,openai}.mjs` play all of them.
 */
import { type Ask, fail, overloaded, type Reply, type Script } from "./script.ts";

export function scenarios(): Script {
  let release = Promise.withResolvers<void>();
  const seen = new Map<string, number>();
  const played: Readonly<Record<string, (ask: Ask) => Reply>> = {
    /** Held after its first word until somebody asks `release`. */
    held: () => {
      release = Promise.withResolvers();
      return { kind: "say", text: ["one ", "two ", "three"], holdAfterFirst: release.promise };
    },
    release: () => {
      release.resolve();
      return { kind: "say", text: ["released"] };
    },
    /** Asks for the weather, then tells what the tool said. */
    tools: ({ toolResults }) =>
      toolResults.length === 0
        ? {
          kind: "say",
          thinking: "I must look.",
          text: ["Let me see."],
          tools: [{ name: "weather", input: { city: 'Zürich "ZH"', days: [1, 2] } }],
        }
        : { kind: "say", text: ["It is ", toolResults.join("; ")] },
    /** Refused the first time, by client and API. */
    "busy-once": ({ api }) => {
      const times = (seen.get(api) ?? 0) + 1;
      seen.set(api, times);
      return times % 2 === 1 ? tooMany : { kind: "say", text: ["at last"] };
    },
    busy: () => tooMany,
    invalid: () => fail(400, "invalid_request_error", "max_tokens: must be greater than 0"),
    overloaded: () => overloaded,
    dropped: () => ({ kind: "say", text: ["it begins", " and goes on"], dropAfter: 4 }),
    "fails-midway": () => ({ kind: "say", text: ["it begins", " and goes on"], failAfter: 4 }),
    /** Never ends by itself: for clients that leave. */
    endless: () => ({
      kind: "say",
      text: ["still ", "here"],
      holdAfterFirst: new Promise<void>(() => {}),
    }),
  };
  return (ask) =>
    played[ask.model]?.(ask) ??
      { kind: "say", text: ["You said: ", ask.lastText], usage: { input: 21, output: 5 } };
}

const tooMany = fail(
  429,
  "rate_limit_error",
  "Number of requests has exceeded your rate limit",
  0,
);
