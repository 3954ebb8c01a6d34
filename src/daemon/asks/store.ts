// SPDX-License-Identifier: Apache-2.0

/** `<state>/daemon/asks.json`: decisions that hold for a while, what is open, and what was decided last. */
import * as z from "zod/mini";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
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
  const path = `${dir}/asks.json`;
  let waiting: AskState | null = null;
  let writing: Promise<void> | null = null;

  async function drain(): Promise<void> {
    while (waiting !== null) {
      const state = waiting;
      waiting = null;
      try {
        await Deno.writeTextFile(`${path}.new`, JSON.stringify(state), { mode: 0o600 });
        await Deno.rename(`${path}.new`, path);
      } catch (thrown) {
        log.error("egress decisions not written: they end with this daemon", {
          why: messageOf(thrown),
        });
      }
    }
    writing = null;
  }

  return {
    async load() {
      let text: string;
      try {
        text = await Deno.readTextFile(path);
      } catch (thrown) {
        if (!(thrown instanceof Deno.errors.NotFound)) {
          log.error("egress decisions not read", { why: messageOf(thrown) });
        }
        return emptyState;
      }
      try {
        return z.parse(StateSchema, JSON.parse(text));
      } catch (thrown) {
        log.error("egress decisions are damaged and forgotten", { why: messageOf(thrown) });
        return emptyState;
      }
    },
    save(state) {
      waiting = state;
      writing ??= drain();
    },
    async settled() {
      await writing;
    },
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
