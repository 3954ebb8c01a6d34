// SPDX-License-Identifier: Apache-2.0

/** `template push`, `template publish` and `template update`: templates written into their rooms. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { parseTemplateRef } from "../../lib/ref/mod.ts";
import { EventType, type Template } from "../../lib/schema/mod.ts";
import { builtinTemplates, type Trace, validateTemplate } from "../../lib/template/mod.ts";
import { asCalled } from "../framework/called.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient } from "../session.ts";
import { compare, type Difference, differenceLines } from "./compare.ts";
import { type Affected, affectedLines, reachedBy } from "./impact.ts";
import { readTemplateFile, soundTemplate } from "./input.ts";
import { builtinRef } from "./list.ts";
import { TemplateStore } from "./store.ts";
import type * as results from "./results.ts";

export interface Change {
  readonly reference: string;
  readonly template: Template;
  readonly differences: readonly Difference[];
  /** With all it inherits, as it will be. */
  readonly digest: string;
}

export const push: CommandHandler<typeof results.push> = async (call) => {
  const session = await loadSession(call);
  const store = new TemplateStore(matrixClient(session), session);
  const reference = store.normal(call.args[1]!);
  const template = soundTemplate(await readTemplateFile(call, call.args[0]!));
  return await write(call, store, new Map([[reference, template]]));
};

/** The built-in ones of this version: all of them, or those that are there and differ. */
const builtins = (onlyBehind: boolean): CommandHandler<typeof results.publish> => async (call) => {
  const session = await loadSession(call);
  const store = new TemplateStore(matrixClient(session), session);
  const wanted = new Map<string, Template>();
  for (const [name, template] of Object.entries(builtinTemplates)) {
    const reference = builtinRef(session, name);
    const present = await store.find(parseTemplateRef(reference));
    if (onlyBehind && present === null) continue;
    wanted.set(reference, template);
  }
  return await write(call, store, wanted);
};

export const publish = builtins(false);
export const update = builtins(true);

/** What would be written, and whom that reaches. */
export interface TemplatePlan {
  readonly changes: readonly Change[];
  readonly must_sign: readonly Affected[];
}

/** Shows what differs. @throws what is wrong with one of them */
export async function planTemplates(
  call: Invocation,
  store: TemplateStore,
  wanted: ReadonlyMap<string, Template>,
): Promise<TemplatePlan> {
  const changes: Change[] = [];
  for (const [reference, template] of wanted) {
    const present = await store.find(parseTemplateRef(reference));
    // Parents that are not there, and loops through what is there already.
    const trace = await store.trace(reference, wanted);
    refuseUnsound(reference, template, trace);
    if (
      present !== null && present.trusted &&
      canonicalJson(present.content) === canonicalJson(template)
    ) continue;
    const differences = compare(present?.content ?? {}, template);
    changes.push({ reference, template, differences, digest: trace.digest });
  }
  for (const { reference, differences, digest } of changes) {
    call.print(`${reference} ${digest}`);
    for (const line of differenceLines(differences)) call.print(`  ${line}`);
  }
  const names = changes.map(({ reference }) => reference);
  const reached = changes.length === 0 ? [] : await reachedBy(store, names, wanted);
  const affected = reached.map((one) => one.affected).filter((one) => one.must_sign);
  if (affected.length > 0) { for (const line of affectedLines(affected)) call.print(line); }
  return { changes, must_sign: affected };
}

export async function putTemplates(store: TemplateStore, plan: TemplatePlan): Promise<void> {
  for (const change of plan.changes) await putAndReadBack(store, change);
}

async function write(
  call: Invocation,
  store: TemplateStore,
  wanted: ReadonlyMap<string, Template>,
) {
  const plan = await planTemplates(call, store, wanted);
  const { changes, must_sign } = plan;
  if (changes.length === 0) call.print("nothing differs");
  const dry = call.flags["dry-run"] === true;
  if (!dry) await putTemplates(store, plan);
  if (dry && changes.length > 0) call.print("nothing was written (--dry-run)");
  if (!dry && must_sign.length > 0) {
    call.print(
      asCalled(`sign them again: bureau template impact ${changes[0]!.reference} --resign`),
    );
  }
  return { dry_run: dry, changes: written(plan), must_sign };
}

/** As `--json` has it. */
export function written({ changes }: TemplatePlan) {
  return changes.map(({ reference, digest, differences }) => ({ reference, digest, differences }));
}

/** Each part may be right by itself and the whole not: a variable that is set twice, for example. */
function refuseUnsound(reference: string, template: Template, { template: whole }: Trace): void {
  const own = new Set(validateTemplate(template).map(({ field }) => field));
  const problems = validateTemplate(whole)
    .filter(({ field }) => field !== "command" && !own.has(field));
  if (problems.length === 0) return;
  throw new CliError(
    "invalid-template",
    `Cannot publish "${reference}": with what it inherits, ${
      problems.map(({ field, message }) => `${field} ${message}`).join("; ")
    }`,
    { status: 422, hint: "`bureau template show --resolved` says where each field comes from" },
  );
}

async function putAndReadBack(store: TemplateStore, change: Change): Promise<void> {
  const { reference, template } = change;
  const ref = parseTemplateRef(reference);
  const room = await store.roomOf(ref);
  await store.client.putState(room, EventType.template, ref.name, { ...template });
  const there = await store.client.getState(room, EventType.template, ref.name);
  if (there !== null && canonicalJson(there) === canonicalJson(template)) return;
  throw new CliError(
    "not-written",
    `Cannot publish "${reference}": what is there now is not what was written`,
    { status: 409, hint: "somebody else wrote at the same time: look at it, then push again" },
  );
}
