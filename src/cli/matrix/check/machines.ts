// SPDX-License-Identifier: Apache-2.0

/** What machines say of themselves and of services, and templates, each from whom it must come. */
import { messageOf } from "../../../lib/errors.ts";
import { parseStateKey, stateKey, userId } from "../../../lib/ref/mod.ts";
import { EventType, isKnownType, parseEvent, type Service } from "../../../lib/schema/mod.ts";
import { builtinTemplates, validateTemplate } from "../../../lib/template/mod.ts";
import type { StateEvent } from "../../../messaging/mod.ts";
import {
  type CheckContext,
  type Finding,
  isCleared,
  isOfFleet,
  machineOf,
  type Seen,
  stateOf,
  verdict,
} from "./finding.ts";

/** Said by a machine about itself. */
export const OWN = [
  EventType.machineKey,
  EventType.machineInfo,
  EventType.machineStatus,
  EventType.tokenSigningKey,
] as const;
/** Said by operators, in whatever room. */
export const DECISIONS = [
  EventType.authorization,
  EventType.serviceBinding,
  EventType.temporalGrant,
  EventType.credentialRevocation,
  EventType.machineCordon,
  EventType.bureauVersion,
] as const;

export function checkMachines(context: CheckContext): Finding[] {
  const { session, rooms } = context;
  const machines = rooms.find(({ alias }) => alias === `${session.fleet}/machine`);
  const services = rooms.find(({ alias }) => alias === `${session.fleet}/service`);
  const keyed = new Set<string>();
  return [
    ...rooms.flatMap((room) => ownWords(context, room, room === machines ? keyed : new Set())),
    ...rooms.flatMap((room) => decisions(context, room)),
    ...rooms.flatMap((room) => {
      const machine = machineOf(context, room);
      if (machine === null || machines === undefined || keyed.has(machine)) return [];
      if (!isOfFleet(context, machine)) return [];
      // Provisioned: it may join.
      const member = stateOf(machines, "m.room.member", machine)?.content["membership"];
      if (member === "invite") return [];
      return [{
        severity: "error" as const,
        code: "no-machine-key",
        room: machines.label,
        subject: machine,
        message:
          "it has a config room and has published no key of its own: nothing can be sealed to it",
        hint: "start that machine",
      }];
    }),
    ...(services === undefined ? [] : deadServices(context, services, keyed)),
    ...rooms.flatMap((room) => templates(context, room)),
  ];
}

function ownWords(context: CheckContext, room: Seen, keyed: Set<string>): Finding[] {
  const all: Finding[] = [];
  for (const event of room.state) {
    if (!OWN.some((type) => type === event.type) || isCleared(event.content)) continue;
    const add = (code: string, message: string, hint: string | null = null) =>
      void all.push({
        severity: "error",
        code,
        room: room.label,
        subject: event.state_key,
        message,
        hint,
      });
    try {
      const { localpart, server } = parseStateKey(event.state_key);
      const machine = userId(localpart, server);
      const said = verdict(context, room, event, machine);
      if (!said.allowed) {
        add(
          "wrong-sender",
          said.why,
          "nobody believes it; the machine says it again when it starts",
        );
        continue;
      }
      if (isKnownType(event.type)) parseEvent(event.type, event.content);
      if (event.type === EventType.machineKey) keyed.add(machine);
    } catch (thrown) {
      add("malformed", messageOf(thrown));
    }
  }
  return all;
}

/** Who has them obeyed decides about others: an agent's own room is no place to write them. */
function decisions(context: CheckContext, room: Seen): Finding[] {
  return room.state.flatMap((event): Finding[] => {
    const type = DECISIONS.find((one) => one === event.type);
    if (type === undefined || isCleared(event.content)) return [];
    const about = {
      severity: "error" as const,
      room: room.label,
      subject: event.state_key === "" ? room.label : event.state_key,
    };
    const said = verdict(context, room, event, null);
    if (!said.allowed) {
      return [{ ...about, code: "wrong-sender", message: said.why, hint: "nobody obeys it" }];
    }
    try {
      parseEvent(type, event.content);
      return [];
    } catch (thrown) {
      return [{ ...about, code: "malformed", message: messageOf(thrown), hint: "write it anew" }];
    }
  });
}

/** An empty principal, as an empty event, says that there is no such service any more. */
function deadServices(
  context: CheckContext,
  room: Seen,
  keyed: ReadonlySet<string>,
): Finding[] {
  return room.state.flatMap((event): Finding[] => {
    if (event.type !== EventType.service || isCleared(event.content)) return [];
    if (event.content["principal"] === "") return [];
    const why = whyDead(context, event, keyed);
    if (why === null) return [];
    const mend = async () =>
      void await context.store.client.putState(room.id, EventType.service, event.state_key, {});
    return [{
      severity: "error",
      code: "dead-service",
      room: room.label,
      subject: event.state_key,
      message: why,
      hint: "--fix clears it; a service that lives is announced again by its machine",
      mend,
    }];
  });
}

function whyDead(
  context: CheckContext,
  event: StateEvent,
  keyed: ReadonlySet<string>,
): string | null {
  try {
    const service: Service = parseEvent(EventType.service, event.content)!;
    const { principal, machine } = service;
    if (event.sender !== machine) return `it is said to be on ${machine}, by ${event.sender}`;
    if (!keyed.has(machine)) return `its machine ${machine} has no key: it is not of this fleet`;
    const config = context.rooms.find((room) => machineOf(context, room) === machine);
    if (config === undefined) return `its machine ${machine} has no config room`;
    const assigned = stateOf(config, EventType.assignment, stateKey(principal));
    const assignment = assigned && parseEvent(EventType.assignment, assigned.content);
    return assignment?.desired === "running" ? null : `${principal} is not assigned to ${machine}`;
  } catch (thrown) {
    return messageOf(thrown);
  }
}

function templates(context: CheckContext, room: Seen): Finding[] {
  const all: Finding[] = [];
  const add = (
    severity: Finding["severity"],
    code: string,
    subject: string,
    message: string,
    hint: string,
  ) => void all.push({ severity, code, room: room.label, subject, message, hint });
  for (const event of room.state) {
    if (event.type !== EventType.template) continue;
    const said = verdict(context, room, event, null);
    if (!said.allowed) {
      add("error", "wrong-sender", event.state_key, said.why, "push it again as the operator");
      continue;
    }
    try {
      const problems = validateTemplate(parseEvent(EventType.template, event.content)!);
      const [first] = problems;
      if (first === undefined) continue;
      const words = `${first.field} ${first.message}`;
      add("error", "invalid-template", event.state_key, words, "mend its file, then push it again");
    } catch (thrown) {
      add("error", "malformed", event.state_key, messageOf(thrown), "push it again");
    }
  }
  if (room.alias !== `${context.session.namespace}/template`) return all;
  for (const name of Object.keys(builtinTemplates)) {
    if (stateOf(room, EventType.template, name) !== undefined) continue;
    add("error", "no-builtin", name, "a built-in template is missing", "bureau template publish");
  }
  return all;
}
