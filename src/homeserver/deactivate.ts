// SPDX-License-Identifier: Apache-2.0
import { removeAllDevices } from "./accounts.ts";
import { append } from "./append.ts";
import type { Context } from "./context.ts";

/** Ends an account for good: no password, no devices, out of every room. Inside `db.write`. */
export function deactivate(ctx: Context, userId: string): void {
  ctx.db.run("UPDATE users SET deactivated = 1, password = NULL WHERE user_id = ?", userId);
  removeAllDevices(ctx, userId);
  for (
    const row of ctx.db.all(
      "SELECT room_id FROM members WHERE user_id = ? AND membership IN ('join', 'invite', 'knock')",
      userId,
    )
  ) {
    append(ctx, {
      roomId: String(row["room_id"]),
      type: "m.room.member",
      state_key: userId,
      sender: userId,
      content: { membership: "leave" },
    });
  }
}
