// SPDX-License-Identifier: Apache-2.0

/** State of every type that no other part of the check looks at: readable, and from whom it must come. */
import { messageOf } from "../../../lib/errors.ts";
import { EventType, isKnownType, parseEvent, subjectOf } from "../../../lib/schema/mod.ts";
import { type CheckContext, type Finding, isCleared, machineOf, verdict } from "./finding.ts";
import { DECISIONS, OWN } from "./machines.ts";
import { OF_PRINCIPALS } from "./principals.ts";

/** Looked at elsewhere, together with what they must fit. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  ...OWN,
  ...DECISIONS,
  ...OF_PRINCIPALS,
  EventType.service,
  EventType.template,
]);

export function checkOthers(context: CheckContext): Finding[] {
  return context.rooms.flatMap((room) =>
    room.state.flatMap((event): Finding[] => {
      const { type, state_key: key, content } = event;
      if (!isKnownType(type) || ELSEWHERE.has(type) || isCleared(content)) return [];
      const finding = (code: string, message: string, hint: string): Finding[] => [{
        severity: "error",
        code,
        room: room.label,
        subject: key === "" ? room.label : key,
        message,
        hint,
      }];
      try {
        const subject = subjectOf(type, key, content);
        const machine = machineOf(context, room) ?? undefined;
        const said = verdict(context, room, event, subject, machine);
        if (!said.allowed) return finding("wrong-sender", said.why, "nobody believes it: clear it");
        parseEvent(type, content);
        return [];
      } catch (thrown) {
        return finding("malformed", `${type}: ${messageOf(thrown)}`, "write it anew, or clear it");
      }
    })
  );
}
