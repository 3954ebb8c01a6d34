// SPDX-License-Identifier: Apache-2.0

/** How much a principal needs a person. */
import type { PrincipalView } from "../../daemon/api.ts";

export interface Need {
  /** In one word, what it is at. */
  readonly word: string;
  /** The lower, the sooner somebody is to look. */
  readonly rank: number;
  /** Whether a person is waited for. */
  readonly waits: boolean;
  /** Since when, ms epoch. */
  readonly since: number;
}

const RANKS: Readonly<Record<string, number>> = {
  failed: 0,
  "waiting-approval": 1,
  "waiting-input": 2,
  working: 4,
  idle: 5,
};

/** From what the daemon says of its attention; of one that doesn't run, from its phase. */
export function needOf(view: PrincipalView): Need {
  const { attention } = view;
  if (view.phase === "failed" || view.phase === "backing-off") {
    return { word: view.phase, rank: 0, waits: true, since: view.since };
  }
  if (attention !== undefined && view.phase === "running") {
    const rank = RANKS[attention.state] ?? 5;
    return { word: attention.state, rank, waits: rank <= 2, since: attention.since };
  }
  if (view.phase === "running") {
    return { word: "running", rank: 5, waits: false, since: view.since };
  }
  const isEnded = view.phase === "exited" || view.phase === "stopped";
  return { word: view.phase, rank: isEnded ? 6 : 3, waits: false, since: view.since };
}

/** Whoever needs a person most first; of those that wait alike, who waits longest. */
export function byNeed(a: PrincipalView, b: PrincipalView): number {
  const [one, other] = [needOf(a), needOf(b)];
  if (one.rank !== other.rank) return one.rank - other.rank;
  if (one.waits && one.since !== other.since) return one.since - other.since;
  return a.principal < b.principal ? -1 : 1;
}
