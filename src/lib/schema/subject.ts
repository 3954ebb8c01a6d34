// SPDX-License-Identifier: Apache-2.0

/** Whom a state event is about: what its sender is compared with (W-4). */
import { parseStateKey, userId } from "../ref/mod.ts";
import { EventType } from "./events.ts";

/** State key = the user, always. */
const OF_KEY: ReadonlySet<string> = new Set([
  EventType.assignment,
  EventType.credentials,
  EventType.principalStatus,
  EventType.machineKey,
  EventType.machineInfo,
  EventType.machineStatus,
  EventType.machineCordon,
  EventType.bureauVersion,
  EventType.tokenSigningKey,
  EventType.service,
  EventType.drainStatus,
]);

/** By a field: the state key is a name that anybody could take. */
const OF_FIELD: Readonly<Record<string, string>> = {
  [EventType.temporalGrant]: "principal",
  [EventType.credentialRevocation]: "machine_user_id",
  [EventType.haLease]: "holder",
  [EventType.agentSession]: "service",
  [EventType.agentMetrics]: "service",
  [EventType.serviceStatus]: "machine",
  [EventType.workspace]: "machine",
  [EventType.worktree]: "machine",
};

/**
 * User id of whom an event of this type is about; null where that is nobody.
 * @throws {RefError} when the key must be somebody's, and is nobody's
 */
export function subjectOf(
  type: string,
  key: string,
  content: Readonly<Record<string, unknown>>,
): string | null {
  if (OF_KEY.has(type)) return userOf(key);
  if (type === EventType.webrtcOffer) return userOf(key.split("|")[0]!);
  if (type === EventType.webrtcAnswer) return userOf(key.split("|")[1] ?? "");
  const field = Object.hasOwn(OF_FIELD, type) ? OF_FIELD[type]! : null;
  const value = field === null ? null : content[field];
  return typeof value === "string" && value !== "" ? value : null;
}

function userOf(key: string): string {
  const { localpart, server } = parseStateKey(key);
  return userId(localpart, server);
}
