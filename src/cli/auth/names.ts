// SPDX-License-Identifier: Apache-2.0
import { userId } from "../../lib/ref/mod.ts";
import { type OperatorSession, principalOf } from "../session.ts";

/** User id of an agent's name, `me`, `machine`, or as it stands. */
export function userOf(session: OperatorSession, text: string): string {
  if (text === "me") return session.user_id;
  if (text === "machine") return userId(session.machine, session.server_name);
  return text.startsWith("@") ? text : userId(principalOf(session, text), session.server_name);
}
