// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "../../../lib/log.ts";
import { type StateFile, stateFile } from "../../state_file.ts";
import { NotifyState } from "./types.ts";

/** Who was told of what, and what is not delivered yet. */
export type NotifyStore = StateFile<NotifyState>;

/** `<state>/daemon/notify.json`. What can't be read was told to nobody: somebody hears twice rather than never. */
export function fileNotifyStore(dir: string, log: Logger): NotifyStore {
  return stateFile({
    path: `${dir}/notify.json`,
    schema: NotifyState,
    empty: (): NotifyState => ({ version: 1, targets: {} }),
    what: "notifications",
    unwritten: "a restart may repeat them",
    log,
  });
}
