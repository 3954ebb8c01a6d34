// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { SyncBatch } from "../messaging/mod.ts";

export interface InvitationContext {
  readonly isAdmin: (user: string) => boolean;
  readonly join: (room: string) => Promise<unknown>;
  readonly log: Logger;
}

/** Invitations of admins only: anybody may invite, and a joined room costs memory and trust. */
export function acceptInvitations(
  { invited }: SyncBatch,
  { isAdmin, join, log }: InvitationContext,
): void {
  for (const { room, sender } of invited) {
    if (sender === null || !isAdmin(sender)) {
      log.warn("invitation ignored: not from an admin", { room, sender });
      continue;
    }
    join(room).catch((thrown) =>
      log.warn("invitation not accepted", { room, why: messageOf(thrown) })
    );
  }
}
