// SPDX-License-Identifier: Apache-2.0
import type { Content } from "./power_levels.ts";

/** What survives a redaction, by type (room version 11; 10 where it differs). */
const KEEP: Readonly<Record<string, readonly string[]>> = {
  "m.room.member": ["membership", "join_authorised_via_users_server"],
  "m.room.join_rules": ["join_rule", "allow"],
  "m.room.power_levels": [
    "ban",
    "events",
    "events_default",
    "invite",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
  ],
  "m.room.history_visibility": ["history_visibility"],
  "m.room.redaction": ["redacts"],
};

/** @returns the content that a redacted event keeps; `m.room.create` is kept whole since version 11 */
export function redactContent(type: string, content: Content, roomVersion: string): Content {
  if (type === "m.room.create") {
    return roomVersion === "10" ? pick(content, ["creator"]) : content;
  }
  const keep = KEEP[type] ?? [];
  return pick(
    content,
    roomVersion === "10" ? keep.filter((key) => key !== "redacts" && key !== "invite") : keep,
  );
}

function pick(content: Content, keys: readonly string[]): Content {
  const kept: Record<string, unknown> = {};
  for (const key of keys) if (Object.hasOwn(content, key)) kept[key] = content[key];
  return kept;
}
