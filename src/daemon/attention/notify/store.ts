// SPDX-License-Identifier: Apache-2.0

/** `<state>/daemon/notify.json`: who was told of what, and what is not delivered yet. */
import * as z from "zod/mini";
import { messageOf } from "../../../lib/errors.ts";
import type { Logger } from "../../../lib/log.ts";
import { NotifyState } from "./types.ts";

export const noState: NotifyState = { version: 1, targets: {} };

export interface NotifyStore {
  load(): Promise<NotifyState>;
  /** Resolves when it is on disk, or could not be written, which is logged. In order. */
  save(state: NotifyState): Promise<void>;
}

/** What can't be read is as if nothing had been told: then somebody hears twice rather than never. */
export function fileNotifyStore(dir: string, log: Logger): NotifyStore {
  const path = `${dir}/notify.json`;
  let last: Promise<void> = Promise.resolve();
  return {
    async load() {
      let text: string;
      try {
        text = await Deno.readTextFile(path);
      } catch (thrown) {
        if (!(thrown instanceof Deno.errors.NotFound)) {
          log.error("notifications not read", { why: messageOf(thrown) });
        }
        return noState;
      }
      try {
        return z.parse(NotifyState, JSON.parse(text));
      } catch (thrown) {
        log.error("notifications are damaged and forgotten", { why: messageOf(thrown) });
        return noState;
      }
    },
    save(state) {
      const text = JSON.stringify(state);
      last = last.then(async () => {
        try {
          await Deno.writeTextFile(`${path}.new`, text, { mode: 0o600 });
          await Deno.rename(`${path}.new`, path);
        } catch (thrown) {
          log.error("notifications not written: a restart may repeat them", {
            why: messageOf(thrown),
          });
        }
      });
      return last;
    },
  };
}
