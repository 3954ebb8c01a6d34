// SPDX-License-Identifier: Apache-2.0

/** Config rooms: assignments, credentials and statuses that fit each other, from whom they must come. */
import { messageOf } from "../../../lib/errors.ts";
import { parseStateKey, userId } from "../../../lib/ref/mod.ts";
import {
  agentPowerLevels,
  type Assignment,
  type Credentials,
  EventType,
  parseEvent,
  type Template,
} from "../../../lib/schema/mod.ts";
import { verifyContent } from "../../../lib/signature/mod.ts";
import type { StateEvent } from "../../../messaging/mod.ts";
import { stateTypesOf } from "../../agent/create.ts";
import { shortName } from "../../agent/list.ts";
import {
  type CheckContext,
  type Finding,
  isCleared,
  machineOf,
  type Seen,
  verdict,
} from "./finding.ts";
import { driftOf } from "./rooms.ts";

type Add = (
  severity: Finding["severity"],
  code: string,
  key: string,
  message: string,
  hint?: string,
) => void;

/** Checked against each other in config rooms. */
export const OF_PRINCIPALS = [
  EventType.assignment,
  EventType.credentials,
  EventType.principalStatus,
] as const;

export async function checkPrincipals(context: CheckContext): Promise<Finding[]> {
  const all: Finding[] = [];
  for (const room of context.rooms) {
    const machine = machineOf(context, room);
    const add: Add = (severity, code, subject, message, hint) =>
      void all.push({ severity, code, room: room.label, subject, message, hint: hint ?? null });
    if (machine !== null) await checkConfigRoom(context, room, machine, add, all);
    else strayed(room, add);
  }
  return all;
}

/** What decides what runs counts in a machine's own room only. */
function strayed(room: Seen, add: Add): void {
  for (const { type, state_key: key, content } of room.state) {
    if (!OF_PRINCIPALS.some((one) => one === type) || isCleared(content)) continue;
    add("warning", "wrong-room", key, `${type} counts only in a machine's config room`);
  }
}

async function checkConfigRoom(
  context: CheckContext,
  room: Seen,
  machine: string,
  add: Add,
  found: Finding[],
): Promise<void> {
  const believed = new Map<string, Assignment>();
  const sealed = new Map<string, Credentials>();
  for (const event of room.state) {
    if (!OF_PRINCIPALS.some((type) => type === event.type) || isCleared(event.content)) continue;
    const subject = subjectOf(event, add);
    if (subject === null) continue;
    const said = verdict(context, room, event, subject, machine);
    if (!said.allowed) {
      add("error", "wrong-sender", event.state_key, said.why, "nobody obeys it: write it anew");
      continue;
    }
    read(event, subject, believed, sealed, add);
  }
  for (const [key, assignment] of believed) {
    await checkAssignment(context, room, machine, key, assignment, sealed.get(key), add, found);
  }
  for (const key of sealed.keys()) {
    const assignment = believed.get(key);
    if (assignment !== undefined && assignment.desired !== "absent") continue;
    add(
      "error",
      "orphan-credentials",
      key,
      "credentials of a principal that is not assigned to this machine",
      `bureau agent create ${shortName(key.split(":")[0]!)}, or clear the event`,
    );
  }
}

/** User id; null when the key is none. */
function subjectOf(event: StateEvent, add: Add): string | null {
  try {
    const { localpart, server } = parseStateKey(event.state_key);
    return userId(localpart, server);
  } catch (thrown) {
    add("error", "malformed", event.state_key, `the key of ${event.type}: ${messageOf(thrown)}`);
    return null;
  }
}

function read(
  event: StateEvent,
  subject: string,
  believed: Map<string, Assignment>,
  sealed: Map<string, Credentials>,
  add: Add,
): void {
  const key = event.state_key;
  try {
    if (event.type === EventType.assignment) {
      const assignment = parseEvent(EventType.assignment, event.content);
      if (assignment !== null) believed.set(key, assignment);
    } else if (event.type === EventType.credentials) {
      const credentials = parseEvent(EventType.credentials, event.content);
      if (credentials === null) return;
      if (credentials.principal === subject) sealed.set(key, credentials);
      else add("error", "wrong-subject", key, `credentials that name ${credentials.principal}`);
    } else parseEvent(EventType.principalStatus, event.content);
  } catch (thrown) {
    add("error", "malformed", key, messageOf(thrown));
  }
}

async function checkAssignment(
  context: CheckContext,
  room: Seen,
  machine: string,
  key: string,
  assignment: Assignment,
  credentials: Credentials | undefined,
  add: Add,
  found: Finding[],
): Promise<void> {
  const name = shortName(key.split(":")[0]!);
  if (`@${key}` !== assignment.principal) {
    return add("error", "wrong-subject", key, `an assignment that names ${assignment.principal}`);
  }
  if (assignment.machine !== machine) {
    return add("error", "wrong-machine", key, `an assignment to ${assignment.machine}`);
  }
  const event = room.state.find((one) =>
    one.type === EventType.assignment && one.state_key === key
  )!;
  try {
    await verifyContent(event.content, context.operatorKeys);
  } catch (thrown) {
    return add(
      "error",
      "bad-signature",
      key,
      messageOf(thrown),
      `look at it, then write it anew: bureau agent create ${name}`,
    );
  }
  if (assignment.desired === "absent") return;
  const trace = await context.store.tryTrace(
    assignment.template,
    undefined,
    assignment.extra_inherits,
  );
  if (typeof trace === "string") {
    return add(
      "error",
      "no-template",
      key,
      `its template can't be used: ${trace}`,
      "bureau template list",
    );
  }
  if (trace.digest !== assignment.template_digest) {
    add(
      "error",
      "digest-mismatch",
      key,
      `${assignment.template} is not as it was signed`,
      `look at what changed, then: bureau template impact ${assignment.template} --resign`,
    );
  }
  const missing = (trace.template.required_credentials ?? [])
    .filter((one) => !(credentials?.keys.includes(one) ?? false));
  if (missing.length > 0) {
    add(
      "error",
      "credentials-missing",
      key,
      `credentials are missing: ${missing.join(", ")}`,
      `bureau agent create ${name} --credentials FILE`,
    );
  }
  if (assignment.room !== undefined && !context.rooms.some(({ id }) => id === assignment.room)) {
    add("error", "no-room", key, `its room ${assignment.room} is none that you are in`);
  }
  // What an unsigned template would open is no measure.
  if (trace.digest === assignment.template_digest) {
    const drift = checkAgentRoom(context, assignment, trace.template);
    if (drift !== null) found.push(drift);
  }
}

/** An agent writes exactly the state that its template grants, and nobody but the operator decides there. */
function checkAgentRoom(
  context: CheckContext,
  assignment: Assignment,
  template: Template,
): Finding | null {
  const { session, store } = context;
  const room = context.rooms.find(({ id }) => id === assignment.room);
  if (room === undefined) return null;
  const wanted = agentPowerLevels([session.user_id], stateTypesOf(template));
  return driftOf(room, wanted, store.client);
}
