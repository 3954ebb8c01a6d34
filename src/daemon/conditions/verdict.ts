// SPDX-License-Identifier: Apache-2.0
import type { StartCondition, Trigger } from "../../lib/schema/mod.ts";
import { DaemonError } from "../errors.ts";
import type { Problem } from "../reconcile.ts";
import type { Conditions } from "./conditions.ts";

/** The sync tells when this passes. */
export const CONDITION_UNMET = "condition-unmet";

const NO_ROOM: ReadonlySet<string> = new Set(["room-missing", "room-not-joined"]);

export interface ConditionContext {
  readonly conditions: Pick<Conditions, "holds">;
  readonly configRoom: string;
  /** Room id of an alias, joined if it wasn't. @throws when it can't be */
  readonly openRoom: (alias: string) => Promise<string>;
}

/**
 * A room that is not there yet, or not open to this machine, is no fault: it is waited for too.
 * @param rooms gets the condition's room
 * @returns the event, or why it is waited for; neither where there is no condition
 */
export async function conditionOf(
  userId: string,
  condition: StartCondition | undefined,
  { conditions, configRoom, openRoom }: ConditionContext,
  rooms: Set<string>,
): Promise<{ readonly trigger: Trigger | null; readonly unmet: Problem | null }> {
  if (condition === undefined) return { trigger: null, unmet: null };
  let room = configRoom;
  try {
    if (condition.room_alias !== undefined) room = await openRoom(condition.room_alias);
  } catch (thrown) {
    if (!(thrown instanceof DaemonError && NO_ROOM.has(thrown.code))) throw thrown;
    const { code, message, hint } = thrown;
    return {
      trigger: null,
      unmet: { code, message: `waiting: ${message}`, ...(hint === undefined ? {} : { hint }) },
    };
  }
  rooms.add(room);
  const { trigger, unmet } = await conditions.holds(userId, condition, room);
  if (unmet === null) return { trigger, unmet };
  return { trigger: null, unmet: { code: CONDITION_UNMET, message: unmet } };
}
