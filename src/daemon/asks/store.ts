// SPDX-License-Identifier: Apache-2.0

/** `<state>/daemon/asks.json`: decisions that hold for a while, what is open, and what was decided last. */
import * as z from "zod/mini";
import type { Logger } from "../../lib/log.ts";
import { stateFile } from "../state_file.ts";
import type { AskState } from "./types.ts";

const AskSchema = {
  id: z.string(),
  principal: z.string(),
  host: z.string(),
  port: z.number(),
  since: z.number(),
  until: z.number(),
  event_id: z.nullable(z.string()),
};

const StateSchema = z.object({
  version: z.literal(1),
  pending: z.array(z.object(AskSchema)),
  rules: z.array(z.object({
    principal: z.string(),
    host: z.string(),
    port: z.number(),
    allowed: z.boolean(),
    until: z.number(),
    by: z.string(),
  })),
  decided: z.array(z.object({
    ...AskSchema,
    outcome: z.enum(["approved", "denied", "timed-out", "withdrawn"]),
    by: z.string(),
    via: z.enum(["reaction", "reply", "cli", "policy", "timeout", "daemon"]),
    at: z.number(),
    expires_at: z.nullable(z.number()),
    always: z.boolean(),
  })),
});

export const emptyState: AskState = { version: 1, pending: [], rules: [], decided: [] };

export interface AskStore {
  load(): Promise<AskState>;
  /** Soon and in order; the newest state wins. Never throws. */
  save(state: AskState): void;
  /** Resolves when what was saved is on disk, or could not be written. */
  settled(): Promise<void>;
}

/** What can't be read is as if nothing had been decided: nothing is allowed by it. */
export function fileAskStore(dir: string, log: Logger): AskStore {
  const file = stateFile({
    path: `${dir}/asks.json`,
    schema: StateSchema,
    empty: () => emptyState,
    what: "egress decisions",
    unwritten: "they end with this daemon",
    log,
  });
  let saved = Promise.resolve();
  return {
    load: () => file.load(),
    save: (state) => void (saved = file.save(state)),
    settled: () => saved,
  };
}

/** For tests, and where there is no directory. */
export function memoryAskStore(initial: AskState = emptyState): AskStore & { state: AskState } {
  return {
    state: initial,
    load() {
      return Promise.resolve(this.state);
    },
    save(state) {
      this.state = state;
    },
    settled: () => Promise.resolve(),
  };
}
