// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../lib/clock.ts";
import type { Tmux } from "../lib/tmux/mod.ts";
import { LauncherError } from "./errors.ts";

const START_MS = 10_000;

export interface Appearing {
  readonly tmux: Tmux;
  /** Why the cell ended, when it does. */
  readonly failed: Promise<string>;
  /** What its terminal server says. */
  readonly logFile: string;
  readonly principal: string;
  readonly clock: Clock;
}

/** Resolves when the program of a cell has its terminal. @throws {LauncherError} `cell-failed` */
export async function awaitPane(
  { tmux, failed, logFile, principal, clock }: Appearing,
): Promise<void> {
  let ended: string | null = null;
  failed.then((why) => ended = why);
  const deadline = clock.now() + START_MS;
  while (true) {
    // Looked at before the pane: the client that starts the server ends as soon as it serves.
    const over = ended;
    if (await tmux.pane() !== null) return;
    if (over !== null || clock.now() > deadline) {
      const said = await Deno.readTextFile(logFile).catch(() => "");
      throw new LauncherError(
        "cell-failed",
        `Cannot start "${principal}": its cell ${over ?? "did not answer"}: ${
          said.trim().split("\n").at(-1) ?? ""
        }`,
        { hint: "`deno task up` runs the preflight, which says what this machine lacks" },
      );
    }
    await clock.sleep(5);
  }
}
