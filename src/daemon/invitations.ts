// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { SyncBatch } from "../messaging/mod.ts";

export interface InvitationContext {
  readonly mayInvite: (user: string) => boolean;
  readonly join: (room: string) => Promise<unknown>;
  readonly log: Logger;
}

/** Invitations of those who may have this machine join (operators): anybody may invite, and a joined room costs memory and trust. */
export function acceptInvitations(
  { invited }: SyncBatch,
  { mayInvite, join, log }: InvitationContext,
): void {
  for (const { room, sender } of invited) {
    if (sender === null || !mayInvite(sender)) {
      log.warn("invitation ignored: its sender may not", { room, sender });
      continue;
    }
    join(room).catch((thrown) =>
      log.warn("invitation not accepted", { room, why: messageOf(thrown) })
    );
  }
}
