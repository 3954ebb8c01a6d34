// SPDX-License-Identifier: Apache-2.0
import type { Context } from "./context.ts";

/** Everything a user's profile holds; undefined for an unknown user. */
export function fullProfile(ctx: Context, userId: string): Record<string, unknown> | undefined {
  const row = ctx.db.get("SELECT profile FROM users WHERE user_id = ?", userId);
  return row && JSON.parse(String(row["profile"]));
}

/** What goes into member events. */
export function profileOf(ctx: Context, userId: string): Record<string, unknown> {
  const profile = fullProfile(ctx, userId) ?? {};
  return {
    ...(profile["displayname"] === undefined ? {} : { displayname: profile["displayname"] }),
    ...(profile["avatar_url"] === undefined ? {} : { avatar_url: profile["avatar_url"] }),
  };
}
