// SPDX-License-Identifier: Apache-2.0
import type { Context } from "./context.ts";
import { sharesRoom } from "./store/members.ts";

export const PRESENCES = ["online", "offline", "unavailable"];

export interface PresenceEvent {
  readonly type: "m.presence";
  readonly sender: string;
  readonly content: Record<string, unknown>;
}

export function presenceContent(ctx: Context, userId: string): Record<string, unknown> {
  const presence = ctx.ephemeral.presenceOf(userId);
  if (presence === undefined) return { presence: "offline" };
  return {
    presence: presence.presence,
    last_active_ago: Math.max(0, ctx.clock.now() - presence.lastActive),
    currently_active: presence.presence === "online",
    ...(presence.status_msg === undefined ? {} : { status_msg: presence.status_msg }),
  };
}

/** Presence of people in the same rooms, as far as it changed. */
export function profileChanges(ctx: Context, userId: string, since: number): PresenceEvent[] {
  return ctx.ephemeral.presenceAfter(since)
    .filter(([other]) => sharesRoom(ctx.db, userId, other))
    .map(([sender]) => ({ type: "m.presence", sender, content: presenceContent(ctx, sender) }));
}
