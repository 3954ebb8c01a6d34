// SPDX-License-Identifier: Apache-2.0

/** Says back what it was given, a word at a time: the whole chain without a model, for tests and smoke runs. */
import { type Clock, systemClock } from "../../../lib/clock.ts";
import { RESTRICTIONS } from "../../fabric/record.ts";
import type { Executor } from "../executor.ts";

const SLEEP = /^__sleep_ms:(\d+)$/;

/** It has no tools and asks no model: every restriction holds. */
export function echoExecutor(clock: Clock = systemClock): Executor {
  return {
    enforces: RESTRICTIONS,
    async run({ assignment, signal, emit }) {
      const words = assignment.split(/\s+/).filter((word) => word !== "");
      const at = words.findIndex((word) => SLEEP.test(word));
      if (at !== -1) {
        const [word] = words.splice(at, 1);
        await clock.sleep(Math.min(Number(SLEEP.exec(word!)![1]), 2 ** 31 - 1), signal);
      }
      for (const word of words) {
        signal.throwIfAborted();
        await emit({ type: "token", content: `${word} ` });
      }
      signal.throwIfAborted();
      await emit({ type: "complete" });
      return `echo: ${words.join(" ")}`;
    },
  };
}
