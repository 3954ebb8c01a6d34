// SPDX-License-Identifier: Apache-2.0

/**
 * Whose word counts about whom (W-3, W-4). A homeserver checks that a sender's power level suffices to
 * write a type of event; in rooms where several write, and for state keys that are no user ids, it does
 * not check that the sender may speak for the one whom the event is about. Readers ask here.
 */
import { EventType } from "../lib/schema/mod.ts";
import { levelOf, type StateEntry } from "./states.ts";

/**
 * In which capacity somebody speaks.
 * - `self`: the subject
 * - `machine`: the machine that the subject lives on
 * - `admin`: level 100 in the room now, and on the machine's list or given that level by someone on it
 * - `room-admin`: level 100 in the event's own room, whosever room that is
 */
export type Voice = "self" | "machine" | "admin" | "room-admin";

export interface SpeakContext {
  /** Of the event. */
  readonly type: string;
  /** `m.room.power_levels` of the event's room, with its sender; absent: nobody has a level. */
  readonly levels: StateEntry | undefined;
  /** User ids that the operator listed for this machine. */
  readonly admins: readonly string[];
  /** The machine that the subject lives on; absent: not known, so none is believed. */
  readonly machine?: string;
}

export type SpeakVerdict =
  | { readonly allowed: true; readonly as: Voice }
  | { readonly allowed: false; readonly why: string };

const ADMIN_LEVEL = 100;

/** By event type: who is believed. A type that is not here is believed from nobody. */
const VOICES: Readonly<Record<string, readonly Voice[]>> = {
  [EventType.assignment]: ["admin"],
  [EventType.authorization]: ["admin"],
  [EventType.bureauVersion]: ["admin"],
  [EventType.credentials]: ["admin"],
  [EventType.credentialRevocation]: ["admin"],
  [EventType.fleetConfig]: ["admin"],
  [EventType.serviceBinding]: ["admin"],
  [EventType.temporalGrant]: ["admin"],
  // Another fleet may own the room; what a template says is pinned besides, by a signed digest.
  [EventType.template]: ["room-admin"],
  [EventType.principalStatus]: ["machine"],
  // Of the service's own machine: another one could lead its callers elsewhere (W-4).
  [EventType.service]: ["machine"],
  [EventType.machineKey]: ["self", "admin"],
  [EventType.machineCordon]: ["admin"],
  [EventType.machineInfo]: ["self"],
  [EventType.machineStatus]: ["self"],
  [EventType.report]: ["self"],
  // What the agent service keeps of an agent, each service in its own name.
  [EventType.agentSession]: ["self"],
  [EventType.agentMetrics]: ["self"],
  // Claimed by whoever names itself in it, and by nobody for another.
  [EventType.haLease]: ["self"],
  [EventType.serviceStatus]: ["self"],
  [EventType.drainStatus]: ["self"],
  [EventType.webrtcOffer]: ["self"],
  [EventType.webrtcAnswer]: ["self"],
  [EventType.workspace]: ["self", "admin"],
  [EventType.worktree]: ["self", "admin"],
  [EventType.layout]: ["machine", "admin"],
  [EventType.project]: ["admin"],
  [EventType.devTeam]: ["admin"],
  [EventType.machineDrain]: ["admin"],
  [EventType.fleetService]: ["admin"],
  [EventType.machineDefinition]: ["admin"],
  [EventType.fleetAlert]: ["admin"],
  [EventType.fleetCache]: ["admin"],
  [EventType.environmentBuild]: ["admin"],
  [EventType.provenanceRoots]: ["admin"],
  [EventType.provenancePolicy]: ["admin"],
  // An admin too would be able to make tokens in a machine's name.
  [EventType.tokenSigningKey]: ["self"],
};

const WHO: Readonly<Record<Voice, string>> = {
  self: "the one it is about",
  machine: "the machine that it lives on",
  admin: "an admin of this machine",
  "room-admin": "somebody with power level 100 in its room",
};

const voicesOf = (type: string) => Object.hasOwn(VOICES, type) ? VOICES[type]! : [];

/** In words, about an event type; null: nobody. */
export function whoIsBelieved(type: string): string | null {
  const voices = voicesOf(type);
  return voices.length === 0 ? null : voices.map((voice) => WHO[voice]).join(" or ");
}

/**
 * Whether what `sender` wrote about `subject` counts. Pure: everything it depends on is given.
 * @param sender user id, by the homeserver's word
 * @param subject user id of whom the event is about; null where that is nobody (a template)
 */
export function maySpeakFor(
  sender: string,
  subject: string | null,
  context: SpeakContext,
): SpeakVerdict {
  const as = voicesOf(context.type).find((voice) => speaksAs(voice, sender, subject, context));
  if (as !== undefined) return { allowed: true, as };
  const believed = whoIsBelieved(context.type);
  const who = believed === null
    ? "nobody is believed about this type"
    : `only ${believed} is believed`;
  return { allowed: false, why: `${sender} may not write ${context.type} here: ${who}` };
}

function speaksAs(
  voice: Voice,
  sender: string,
  subject: string | null,
  context: SpeakContext,
): boolean {
  switch (voice) {
    case "self":
      return subject !== null && sender === subject;
    case "machine":
      return context.machine !== undefined && sender === context.machine;
    case "admin":
      return isAdmin(sender, context);
    case "room-admin":
      return levelOf(context.levels?.content, sender) >= ADMIN_LEVEL;
  }
}

/**
 * Power level 100 alone is not enough: whoever takes the machine's alias before the operator does is 100
 * in a room of their own. A name on the list alone is not enough either: taking somebody's level away
 * must take effect here.
 */
export function isAdmin(
  user: string,
  { levels, admins }: Pick<SpeakContext, "levels" | "admins">,
): boolean {
  if (levelOf(levels?.content, user) < ADMIN_LEVEL) return false;
  return admins.includes(user) || (levels !== undefined && admins.includes(levels.sender));
}
