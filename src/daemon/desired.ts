// SPDX-License-Identifier: Apache-2.0

/** From the config room's events about one principal to what is wanted of it. */
import { type Target, targetOfUrl } from "../lib/authority.ts";
import {
  effectiveGrants,
  type EffectivePolicy,
  egressAuthorization,
  noPolicy,
} from "../lib/authorization/mod.ts";
import { canonicalJson, sha256Hex } from "../lib/canonical/mod.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { roomAlias, stateKey, type TemplateRef } from "../lib/ref/mod.ts";
import {
  type Assignment,
  type ContentOf,
  type Credentials,
  EventType,
  type KnownEventType,
  type Template,
  type Trigger,
} from "../lib/schema/mod.ts";
import { sealedText } from "../lib/sealed/text.ts";
import {
  expandVariables,
  noEgress,
  type ResolvedEgress,
  resolveEgress,
  resolveTemplate,
  templateDigest,
} from "../lib/template/mod.ts";
import type { RoomStates } from "../messaging/mod.ts";
import type { Conditions } from "./conditions/conditions.ts";
import { conditionOf } from "./conditions/verdict.ts";
import { DaemonError } from "./errors.ts";
import type { Desired, Problem } from "./reconcile.ts";
import { roomPolicy, temporalGrants } from "./room_policy.ts";
import { heldByRoles, requiredRoles } from "./services/required.ts";
import { verdictOn } from "./trust.ts";

export interface DesiredContext {
  readonly states: RoomStates;
  readonly configRoom: string;
  /** `@…/machine/…:server` */
  readonly machine: string;
  readonly serverName: string;
  /** `bureau/fleet/dev` */
  readonly fleet: string;
  readonly admins: readonly string[];
  readonly homeserverUrl: string;
  /** Room id of an alias, joined if it wasn't. @throws when it can't be */
  readonly openRoom: (alias: string) => Promise<string>;
  readonly conditions: Pick<Conditions, "holds" | "release">;
}

export interface Evaluation {
  readonly desired: Desired;
  readonly assignment: Assignment | null;
  /** Resolved. */
  readonly template: Template | null;
  /** See `sealedText`. */
  readonly credentials: string | null;
  readonly policy: EffectivePolicy;
  readonly egress: ResolvedEgress;
  /** Rooms whose templates and bindings it was made from: a change there asks for another evaluation. */
  readonly rooms: ReadonlySet<string>;
  /** What met its start condition; null: it has none, or it is not met. */
  readonly trigger: Trigger | null;
}

/** Before the first sync: nothing is known of what is wanted. */
export const notYetKnown: Evaluation = held({
  code: "not-synced",
  message: "the machine has not synced with the homeserver yet",
});

function held(problem: Problem, issuedAt = 0): Evaluation {
  return {
    desired: {
      want: "hold",
      issuedAt,
      generation: `hold:${problem.code}:${problem.message}`,
      credentials: null,
      restartPolicy: "always",
      problem,
    },
    assignment: null,
    template: null,
    credentials: null,
    policy: noPolicy,
    egress: noEgress,
    rooms: new Set(),
    trigger: null,
  };
}

const absent: Evaluation = {
  ...notYetKnown,
  desired: { ...notYetKnown.desired, want: "absent", generation: "absent", problem: null },
};

/** @param userId `@localpart:server` of the principal. Never throws for what an event says. */
export async function evaluate(userId: string, context: DesiredContext): Promise<Evaluation> {
  const { states, configRoom } = context;
  const key = stateKey(userId);
  if (states.get(configRoom, EventType.assignment, key) === undefined) {
    context.conditions.release(userId);
    return absent;
  }
  let assignment: Assignment | null;
  try {
    assignment = readTrusted(context, configRoom, EventType.assignment, key, userId);
    if (assignment?.start_condition === undefined || assignment.desired !== "running") {
      context.conditions.release(userId);
    }
    if (assignment === null) return absent;
    requireSubject(assignment, userId, context.machine);
  } catch (thrown) {
    return held(problemOf(thrown));
  }
  if (assignment.desired !== "running") {
    return {
      ...absent,
      assignment,
      desired: {
        ...absent.desired,
        want: assignment.desired,
        issuedAt: assignment.issued_at,
        ...(assignment.stop_grace_seconds === undefined
          ? {}
          : { graceMs: assignment.stop_grace_seconds * 1_000 }),
        generation: `${assignment.desired}:${assignment.issued_at}`,
      },
    };
  }
  const rooms = new Set<string>();
  try {
    return await running(userId, assignment, context, rooms);
  } catch (thrown) {
    return {
      ...held(problemOf(thrown), assignment.issued_at),
      assignment,
      rooms,
      desired: {
        want: "running",
        issuedAt: assignment.issued_at,
        generation: `unready:${assignment.issued_at}`,
        credentials: null,
        restartPolicy: assignment.restart_policy ?? "always",
        problem: problemOf(thrown),
      },
    };
  }
}

async function running(
  userId: string,
  assignment: Assignment,
  context: DesiredContext,
  rooms: Set<string>,
): Promise<Evaluation> {
  const template = await resolveTemplate(
    assignment.template,
    (ref) => fetchTemplate(ref, context, rooms),
    assignment.extra_inherits,
  );
  const digest = await templateDigest(template);
  if (digest !== assignment.template_digest) {
    throw new DaemonError(
      "template-changed",
      `Cannot start "${userId}": the template "${assignment.template}" is not the one that was signed`,
      { hint: "look at what changed, then sign again: `bureau agent create`" },
    );
  }
  const credentials = readCredentials(userId, context);
  const required = template.required_credentials ?? [];
  // What an operator took away the launcher refuses: what runs must hear of it, not keep it.
  const isKnown = (name: string) =>
    credentials?.keys.includes(name) === true || credentials?.parts?.[name]?.removed === true;
  const missing = required.filter((name) => !isKnown(name));
  if (missing.length > 0) {
    throw new DaemonError(
      "credentials-missing",
      `Cannot start "${userId}": credentials are missing: ${missing.join(", ")}`,
      { hint: "seal them with `bureau credential provision NAME FILE`" },
    );
  }
  const ciphertext = credentials === null ? null : sealedText(credentials);
  const variables = assignment.variables ?? {};
  const egress = resolveEgress(
    template.egress,
    assignment.egress,
    (entry, field) => expandVariables(entry, variables, field),
  );
  const assignmentDigest = await sha256Hex(canonicalJson(assignment));
  const digests = ciphertext === null ? null : await digestsOf(ciphertext);
  const { trigger, unmet } = await conditionOf(userId, assignment.start_condition, context, rooms);
  const roles = requiredRoles(template, assignment);
  const places = [assignment.room, context.configRoom];
  if (roles.length > 0) { for (const room of places) if (room !== undefined) rooms.add(room); }
  const held = heldByRoles(context, roles, places);
  return {
    desired: {
      want: unmet === null ? "running" : "waiting",
      issuedAt: assignment.issued_at,
      generation: [assignmentDigest, digest, digests?.[0] ?? "none"].join(":"),
      credentials: digests,
      restartPolicy: assignment.restart_policy ?? template.restart_policy ?? "always",
      problem: unmet,
      ...(held === undefined ? {} : { held }),
    },
    trigger,
    assignment,
    template,
    credentials: ciphertext,
    policy: effectiveGrants({
      defaultPolicy: roomPolicy(context, context.configRoom, "")?.policy,
      rooms: [roomPolicy(context, context.configRoom, stateKey(userId))].filter((one) =>
        one !== null
      ),
      temporal: temporalGrants(context, context.configRoom, userId),
      template: template.authorization,
      assignment: assignment.authorization,
      egress: egressAuthorization({
        allow: egress.allow,
        ask: egress.ask.hosts,
        narrowed: egress.requests.allow.map(({ host }) => host),
        reserved: reservedTargets(template, variables, context.homeserverUrl),
        explicit: [template, assignment].flatMap(({ authorization }) =>
          authorization?.grants ?? []
        ),
      }),
    }),
    egress,
    rooms,
  };
}

/** Where the proxy goes in the principal's name, with rules and credentials of its own. */
function reservedTargets(
  template: Template,
  variables: Readonly<Record<string, string>>,
  homeserverUrl: string,
): Target[] {
  const upstreams = Object.entries(template.proxy_services ?? {}).map(([name, { upstream }]) =>
    expandVariables(upstream, variables, `proxy_services.${name}.upstream`)
  );
  return [homeserverUrl, ...upstreams].map(targetOfUrl).filter((target) => target !== null);
}

/** Of the text as it stands in the event, and of the bytes that it encodes. */
async function digestsOf(ciphertext: string): Promise<string[]> {
  const digests = [await sha256Hex(ciphertext)];
  try {
    digests.push(await sha256Hex(Uint8Array.fromBase64(ciphertext)));
  } catch {
    // Not base64: the launcher will refuse it with its own words.
  }
  return digests;
}

async function fetchTemplate(
  ref: TemplateRef,
  context: DesiredContext,
  rooms: Set<string>,
): Promise<Template> {
  const alias = roomAlias(ref.room, ref.server ?? context.serverName);
  const room = await context.openRoom(alias);
  rooms.add(room);
  if (context.states.get(room, EventType.template, ref.name) === undefined) {
    throw new DaemonError(
      "template-missing",
      `Cannot find the template "${ref.name}" in "${alias}": there is no such template`,
      {
        hint: "`deno task up` publishes the built-in ones; any other is a state event in that room",
      },
    );
  }
  return readTrusted(context, room, EventType.template, ref.name, null)!;
}

function readCredentials(userId: string, context: DesiredContext): Credentials | null {
  const { configRoom } = context;
  const key = stateKey(userId);
  const credentials = readTrusted(context, configRoom, EventType.credentials, key, userId);
  if (credentials !== null && credentials.principal !== userId) {
    throw new DaemonError(
      "wrong-subject",
      `Cannot use the credentials of "${userId}": they name "${credentials.principal}"`,
    );
  }
  return credentials;
}

const HINTS: Readonly<Record<string, string>> = {
  [EventType.template]: "a template counts from somebody with power level 100 in its room",
};

/**
 * State from someone who may speak for its subject.
 * @returns null when there is none, or it was cleared
 * @throws {DaemonError} `untrusted-sender`; `SchemaError`
 */
function readTrusted<T extends KnownEventType>(
  context: DesiredContext,
  room: string,
  type: T,
  key: string,
  subject: string | null,
): ContentOf<T> | null {
  const entry = context.states.get(room, type, key);
  if (entry === undefined) return null;
  const verdict = verdictOn(context, room, type, entry.sender, subject);
  if (!verdict.allowed) {
    throw new DaemonError("untrusted-sender", `Cannot use ${type} "${key}": ${verdict.why}`, {
      hint: HINTS[type] ??
        "an admin has power level 100 in the config room and is on the machine's list",
    });
  }
  const state = context.states.read(room, type, key)!;
  if (!state.ok) throw state.error;
  return state.value;
}

/** W-4: an event speaks for the principal of its state key and for this machine, or for nobody. */
function requireSubject(assignment: Assignment, userId: string, machine: string): void {
  if (assignment.principal !== userId) {
    throw new DaemonError(
      "wrong-subject",
      `Cannot use the assignment of "${userId}": it names "${assignment.principal}"`,
    );
  }
  if (assignment.machine !== machine) {
    throw new DaemonError(
      "wrong-machine",
      `Cannot use the assignment of "${userId}": it is for "${assignment.machine}"`,
    );
  }
}

export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof BureauError) {
    return {
      code: thrown.code,
      message: thrown.message,
      ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
    };
  }
  return { code: "internal", message: messageOf(thrown) };
}
