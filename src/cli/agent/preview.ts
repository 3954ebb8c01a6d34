// SPDX-License-Identifier: Apache-2.0

/** `agent create --dry-run`: what it would do, once all that can be wrong before it was found right. */
import { userId } from "../../lib/ref/mod.ts";
import type { Content } from "../../messaging/mod.ts";
import type { Invocation } from "../framework/command.ts";
import type { OperatorSession } from "../session.ts";
import type { CreateAgentRequest } from "./request.ts";

interface Planned {
  readonly request: CreateAgentRequest;
  /** As it stands; null: there is none. */
  readonly assigned: Content | null;
  /** Names. */
  readonly credentials: readonly string[];
}

export function preview(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
  { request, assigned, credentials }: Planned,
) {
  const there = assigned !== null && assigned["desired"] !== "absent";
  call.print(
    `would ${
      there ? "change" : "make"
    } ${localpart} on ${session.machine}, from ${request.template}`,
  );
  if (request.repo !== undefined) call.print(`with a clone of ${request.repo}`);
  call.print(`with the credentials ${credentials.join(", ") || "none"}; nothing was changed`);
  return {
    principal: localpart,
    user_id: userId(localpart, session.server_name),
    room: null,
    changed: false,
    dry_run: true,
  };
}
