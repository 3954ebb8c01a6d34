// SPDX-License-Identifier: Apache-2.0

/**
 * A script that is chosen by the model's name, which every client lets its user set: what clients must be
 * able to live through. `programs/anthropic.mjs` and `programs/openai.mjs` play all of them.
 */
import type { Ask, Reply, Script } from "./script.ts";

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
    invalid: () => ({
      kind: "fail",
      status: 400,
      type: "invalid_request_error",
      message: "max_tokens: must be greater than 0",
    }),
    overloaded: () => ({
      kind: "fail",
      status: 529,
      type: "overloaded_error",
      message: "Overloaded",
    }),
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

const tooMany = {
  kind: "fail",
  status: 429,
  type: "rate_limit_error",
  message: "Number of requests has exceeded your rate limit",
  retryAfterSeconds: 0,
} as const;
