// SPDX-License-Identifier: Apache-2.0

/** What another agent took for this one: in its sum, its limits and its events. */
import type { AgentEvent, TokenUsage } from "../event.ts";
import { type AgentLimits, refuseOverdrawn } from "./limits.ts";
import type { Session } from "./session.ts";

export interface Purse {
  readonly session: Session;
  readonly limits: AgentLimits;
  readonly emit: (event: AgentEvent) => void | Promise<void>;
}

/**
 * @param by who took it
 * @param usage null: what was only priced
 * @throws {LimitError} when nothing is left
 */
export async function spendOn(
  { session, limits, emit }: Purse,
  by: string,
  usage: TokenUsage | null,
  usd: number,
): Promise<void> {
  await session.spend(usage, usd);
  if (usage !== null) await emit({ type: "usage", ...usage, by });
  if (usd > 0) await emit({ type: "cost", usd: session.totals.usd });
  refuseOverdrawn(limits, session.totals);
}
