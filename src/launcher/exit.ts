// SPDX-License-Identifier: Apache-2.0

/** How a sandbox ended: seen in its terminal, and in what the pane wrote as its last act. */
import type { Clock } from "../lib/clock.ts";
import { type PaneState, type Tmux, TmuxError } from "../lib/tmux/mod.ts";
import { EXIT_FILE } from "../sandbox/mod.ts";
import type { ExitStatus, Usage } from "./api.ts";
import { readIfThere } from "./files.ts";
import { limitReached } from "./limits.ts";
import { OUTPUT_LINES } from "./output.ts";

/** Each is as long as a client of `lib/tmux` waits. */
const LATE_TRIES = 20;

/**
 * A terminal server that is late on an overloaded machine is asked again: its silence is no end.
 * @returns null when there is none
 * @throws {TmuxError} `late` when it never answers, or `stop` came
 */
export async function patientPane(
  tmux: Tmux,
  stop: AbortSignal,
  onLate: () => void,
): Promise<PaneState | null> {
  for (let tries = 1;; tries++) {
    try {
      return await tmux.pane();
    } catch (thrown) {
      const late = thrown instanceof TmuxError && thrown.code === "late";
      if (!late || stop.aborted || tries === LATE_TRIES) throw thrown;
      onLate();
    }
  }
}

export interface Watched {
  /** Host directory of the terminal's socket. */
  readonly tmuxDir: string;
  readonly stop: AbortSignal;
  /** What the sandbox used; null where nothing counts it. */
  readonly usage: () => Promise<Usage | null>;
  readonly clock: Clock;
  readonly onLate: () => void;
  /** Takes out of its last lines what nobody is to see. */
  readonly presentable: (lines: readonly string[]) => string[];
}

/** @returns null when it was told to stop watching */
export async function awaitExit(tmux: Tmux, watched: Watched): Promise<ExitStatus | null> {
  const { stop, clock } = watched;
  while (true) {
    // Waiting comes before looking: a death in between is seen by the look.
    const died = tmux.died(stop);
    // The pane first: a dead one has written its code, and its own status is only its last command's.
    const pane = await patientPane(tmux, stop, watched.onLate);
    const said = await writtenCode(watched.tmuxDir);
    if (stop.aborted) return null;
    if (said !== null || pane === null || pane.dead) {
      // A server that is gone was killed: 137, as a shell would say.
      const code = said ?? pane?.status ?? (pane === null ? 137 : 128 + (pane.signal ?? 127));
      const usage = code === 0 ? null : await watched.usage();
      const reason = usage === null ? null : limitReached(usage, code);
      return {
        code,
        signal: code > 128 && code < 128 + 64 ? code - 128 : null,
        at: clock.now(),
        output: pane === null
          ? []
          : watched.presentable(await tmux.capture(OUTPUT_LINES).catch(() => [])),
        ...(reason === null ? {} : { reason }),
      };
    }
    await died;
    if (stop.aborted) return null;
  }
}

/** What the pane wrote when the sandbox ended. */
async function writtenCode(tmuxDir: string): Promise<number | null> {
  const text = await readIfThere(`${tmuxDir}/${EXIT_FILE}`);
  return text === null || !/^\d+\s*$/.test(text) ? null : Number(text);
}
