// SPDX-License-Identifier: Apache-2.0
import type { RuleView } from "../../daemon/api.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

/** What it says: `observe on agent/**:server`. */
export function describeRule({ actions, targets, actors }: RuleView): string {
  const on = targets === undefined ? "" : ` on ${targets.join(" ")}`;
  const by = actors === undefined ? "" : ` by ${actors.join(" ")}`;
  // Written by whoever wrote the template.
  return neutraliseLine(`${actions.join(" ")}${on}${by}`);
}

const SOURCES: Readonly<Record<string, string>> = {
  principal: "assignment",
  egress: "egress policy",
  self: "itself",
};

/** Where it stands. */
export function describeSource({ source, event }: RuleView): string {
  const name = source.startsWith("room:") ? "room policy" : SOURCES[source] ?? source;
  const where = event === null ? "" : ` (${event.type} ${event.event_id ?? ""})`;
  return neutraliseLine(`${name}${where}`);
}

/** Who gave it and until when. */
export function describeGiver({ granted_by, expires_at, ticket }: RuleView): string {
  const parts = [
    granted_by === undefined ? "" : `by ${granted_by}`,
    expires_at === undefined ? "" : `until ${expires_at}`,
    ticket === undefined ? "" : `ticket ${ticket}`,
  ].filter((part) => part !== "");
  return neutraliseLine(parts.join(", "));
}
