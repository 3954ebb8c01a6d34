// SPDX-License-Identifier: Apache-2.0

/** Who uses an environment, and how they come to use another generation of it. */
import { parseTemplateRef, parseUserId } from "../../lib/ref/mod.ts";
import { EventType, parseEvent, type Template } from "../../lib/schema/mod.ts";
import { signContent, verifyContent } from "../../lib/signature/mod.ts";
import { messageOf } from "../../lib/errors.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { shortName } from "../agent/list.ts";
import type { Invocation } from "../framework/command.ts";
import { ask } from "../framework/destroy.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, loadSigningKey, matrixClient, type OperatorSession } from "../session.ts";
import { reachedBy, signAgain, type Signed, signedLines } from "../template/impact.ts";
import { planTemplates, putTemplates, written } from "../template/push.ts";
import { type Assigned, TemplateStore } from "../template/store.ts";
import type { Environment } from "./generations.ts";

export interface User {
  readonly kind: "template" | "agent";
  /** ROOM:NAME, or a principal. */
  readonly name: string;
  /** Of an agent. */
  readonly machine: string | null;
  /** Null: one that is not here any more. */
  readonly generation: number | null;
}

/** Templates and agents to which a closure is to be given. */
export interface Wanted {
  readonly templates: readonly string[];
  /** Principals, in full. */
  readonly agents: readonly string[];
}

export interface Moved {
  readonly dry_run: boolean;
  readonly templates: ReturnType<typeof written>;
  readonly agents: readonly string[];
  readonly signed: readonly Signed[];
}

interface Rooms {
  readonly session: OperatorSession;
  readonly store: TemplateStore;
}

export async function openRooms(call: Invocation): Promise<Rooms> {
  const session = await loadSession(call);
  return { session, store: new TemplateStore(matrixClient(session), session) };
}

/** What a template takes its programs from, where that is a closure. */
function closureOf({ environment, sysroot }: Template): string | null {
  if (environment !== undefined && environment !== "") return environment;
  return typeof sysroot === "object" && "nix" in sysroot ? sysroot.nix : null;
}

export async function usersOf(store: TemplateStore, environment: Environment): Promise<User[]> {
  const numbers = new Map(environment.generations.map((one) => [one.closure, one.number]));
  const users: User[] = [];
  for (const { reference, content } of await store.templates()) {
    const template = parseEvent(EventType.template, content);
    const generation = numbers.get(template === null ? "" : closureOf(template) ?? "");
    if (reference === null || generation === undefined) continue;
    users.push({ kind: "template", name: reference, machine: null, generation });
  }
  for (const { assignment } of await store.assignments()) {
    const generation = numbers.get(assignment.environment_override ?? "");
    if (generation === undefined) continue;
    users.push({
      kind: "agent",
      name: parseUserId(assignment.principal).localpart,
      machine: parseUserId(assignment.machine).localpart,
      generation,
    });
  }
  return users.sort((a, b) => a.name < b.name ? -1 : 1);
}

export function wantedOf(users: readonly User[]): Wanted {
  const named = (kind: User["kind"]) =>
    users.filter((one) => one.kind === kind).map(({ name }) => name);
  return { templates: named("template"), agents: named("agent") };
}

/**
 * Looks first, asks where something would start anew, then writes templates and signs assignments.
 * @param what follows "Cannot", where it is refused
 * @param decided is done before anything is written
 */
export async function giveClosure(
  call: Invocation,
  { session, store }: Rooms,
  wanted: Wanted,
  closure: string,
  what: string,
  decided: () => Promise<void> = () => Promise.resolve(),
): Promise<Moved> {
  const dry = call.flags["dry-run"] === true;
  const drafts = new Map<string, Template>();
  for (const text of wanted.templates) {
    const reference = store.normal(text);
    const { sysroot: _, ...rest } = await store.fetch(parseTemplateRef(reference));
    drafts.set(reference, { ...rest, environment: closure });
  }
  const assigned = (await store.assignments()).filter(({ assignment }) =>
    wanted.agents.includes(parseUserId(assignment.principal).localpart)
  );
  await refuseOtherMachines(session, assigned, what);
  const differing = assigned.filter(({ assignment }) =>
    assignment.environment_override !== closure
  );
  const agents = differing.map(({ assignment }) => parseUserId(assignment.principal).localpart);
  for (const name of agents) call.print(`${shortName(name)} gets it, and starts anew`);
  const plan = await planTemplates(call, store, drafts);
  warnOfOthers(call, session, plan.must_sign.map(({ machine }) => machine));
  const templates = written(plan);
  if (dry) return { dry_run: true, templates, agents, signed: [] };
  const restarts = plan.must_sign.length > 0 || differing.length > 0;
  if (restarts && call.flags["yes"] !== true) ask(call, { what, lines: [] });
  await decided();
  await putTemplates(store, plan);
  const key = await loadSigningKey(call);
  // Each store reads a room once: what was written is in a new one.
  const fresh = () => new TemplateStore(store.client, session);
  const after = fresh();
  const reached = templates.length === 0
    ? []
    : await reachedBy(after, templates.map(({ reference }) => reference));
  const signed = await signAgain(after, session, key, reached);
  for (const one of agents.length === 0 ? [] : await fresh().assignments()) {
    const principal = parseUserId(one.assignment.principal).localpart;
    if (agents.includes(principal)) {
      signed.push(await override(store, session, one, principal, closure, key));
    }
  }
  for (const line of signedLines(signed)) call.print(line);
  return { dry_run: false, templates, agents, signed };
}

/** Only what carries the operator's own signature, as `signAgain`. */
async function override(
  store: TemplateStore,
  session: OperatorSession,
  { room, key: subject, content, assignment }: Assigned,
  principal: string,
  closure: string,
  key: Awaited<ReturnType<typeof loadSigningKey>>,
): Promise<Signed> {
  try {
    await verifyContent(content, [key.publicKey]);
  } catch (thrown) {
    const problem = `its assignment is not as you signed it (${messageOf(thrown)})`;
    return { principal, signed: false, problem };
  }
  const signed = await signContent({
    ...content,
    environment_override: closure,
    issued_by: session.user_id,
    issued_at: Math.max(Date.now(), assignment.issued_at + 1),
  }, key);
  await store.client.putState(room, EventType.assignment, subject, { ...signed });
  return { principal, signed: true, problem: null };
}

/** Its machine has a store of its own. */
function refuseOtherMachines(
  session: OperatorSession,
  assigned: readonly Assigned[],
  what: string,
): void {
  for (const { assignment } of assigned) {
    const machine = parseUserId(assignment.machine).localpart;
    if (machine === session.machine) continue;
    const name = shortName(parseUserId(assignment.principal).localpart);
    throw new CliError("elsewhere", `Cannot ${what}: "${name}" runs on ${shortName(machine)}`, {
      status: 409,
      hint: "environments are of one machine: build it there, and use it from there",
    });
  }
}

function warnOfOthers(
  call: Invocation,
  session: OperatorSession,
  machines: readonly string[],
): void {
  for (const machine of new Set(machines)) {
    if (machine === session.machine) continue;
    call.print(
      `${neutraliseLine(shortName(machine))} runs agents of it, too: build the same there first`,
    );
  }
}
