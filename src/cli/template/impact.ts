// SPDX-License-Identifier: Apache-2.0

/** Whom a template reaches: which assignments are made of it, and what a change of it asks of them. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { messageOf } from "../../lib/errors.ts";
import { parseUserId } from "../../lib/ref/mod.ts";
import { EventType, type Template } from "../../lib/schema/mod.ts";
import { signContent, type SigningKey, verifyContent } from "../../lib/signature/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import { loadSession, loadSigningKey, matrixClient, type OperatorSession } from "../session.ts";
import type { Assigned, Drafts, TemplateStore as Store } from "./store.ts";
import { TemplateStore } from "./store.ts";
import type * as results from "./results.ts";

export interface Affected {
  readonly principal: string;
  readonly machine: string;
  /** As the assignment names it. */
  readonly template: string;
  /** What the assignment lays on top of it. */
  readonly extra_inherits: readonly string[];
  readonly desired: string;
  /** What the signature covers. */
  readonly signed_digest: string;
  /** What it resolves to now; null: to nothing. */
  readonly digest: string | null;
  /** The signature does not cover what there is: its machine starts nothing of it anew until it is signed again. */
  readonly must_sign: boolean;
  /** Whether signing it again starts it anew. Null: what was signed is not known any more. */
  readonly restarts: boolean | null;
  readonly problem: string | null;
}

interface Reached {
  readonly assigned: Assigned;
  readonly affected: Affected;
}

/** What changes without a restart; the launcher leaves the same out of its digest of a cell's shape. */
function shape(template: Template): string {
  const { authorization: _a, egress: _e, budgets: _b, restart_policy: _r, attention: _t, ...rest } =
    template;
  return canonicalJson(rest);
}

/**
 * Assignments that resolve through one of these templates.
 * @param drafts how it would be with these in the place of what is published
 */
export async function reachedBy(
  store: Store,
  references: readonly string[],
  drafts?: Drafts,
): Promise<Reached[]> {
  const all: Reached[] = [];
  for (const assigned of await store.assignments()) {
    const { assignment } = assigned;
    const extra = assignment.extra_inherits ?? [];
    const now = await store.tryTrace(assignment.template, undefined, extra);
    const then = drafts === undefined
      ? now
      : await store.tryTrace(assignment.template, drafts, extra);
    const lineage = [now, then].flatMap((trace) => typeof trace === "string" ? [] : trace.lineage);
    // What can't be resolved is reached by what it names at least.
    lineage.push(store.normal(assignment.template), ...extra.map((one) => normalOr(store, one)));
    if (!references.some((reference) => lineage.includes(reference))) continue;
    const digest = typeof then === "string" ? null : then.digest;
    const known = typeof now !== "string" && now.digest === assignment.template_digest;
    const running = assignment.desired === "running";
    all.push({
      assigned,
      affected: {
        principal: parseUserId(assignment.principal).localpart,
        machine: parseUserId(assignment.machine).localpart,
        template: assignment.template,
        extra_inherits: extra,
        desired: assignment.desired,
        signed_digest: assignment.template_digest,
        digest,
        must_sign: digest !== assignment.template_digest,
        restarts: !running || digest === assignment.template_digest
          ? false
          : known && typeof then !== "string"
          ? shape(now.template) !== shape(then.template)
          : null,
        problem: typeof then === "string" ? then : null,
      },
    });
  }
  return all;
}

/** What is no reference reaches nothing. */
function normalOr(store: Store, text: string): string {
  try {
    return store.normal(text);
  } catch {
    return text;
  }
}

export function affectedLines(all: readonly Affected[]): string[] {
  if (all.length === 0) return ["no assignment is made of it"];
  const words = ({ must_sign: must, restarts, problem }: Affected) => {
    if (problem !== null) return `CAN'T BE USED: ${neutraliseLine(problem)}`;
    if (!must) return "signed as it is";
    return `must be signed again; ${
      restarts === null ? "may start anew then" : restarts ? "starts anew then" : "goes on then"
    }`;
  };
  return table(
    ["AGENT", "MACHINE", "TEMPLATE", "WANTED", "WHAT FOLLOWS"],
    all.map((one) => [
      shortName(one.principal),
      shortName(one.machine),
      neutraliseLine([one.template, ...one.extra_inherits].join(" + ")),
      one.desired,
      words(one),
    ]),
  );
}

export interface Signed {
  readonly principal: string;
  readonly signed: boolean;
  /** Why not. */
  readonly problem: string | null;
}

/**
 * Signs what must be, with the digest as it is now. Only what carries the operator's own signature: else
 * whoever can write there could have anything signed along.
 */
export async function signAgain(
  store: Store,
  session: OperatorSession,
  key: SigningKey,
  reached: readonly Reached[],
): Promise<Signed[]> {
  const all: Signed[] = [];
  for (const { assigned, affected } of reached) {
    if (!affected.must_sign) continue;
    const { principal, digest, problem } = affected;
    if (digest === null) {
      all.push({ principal, signed: false, problem });
      continue;
    }
    try {
      await verifyContent(assigned.content, [key.publicKey]);
    } catch (thrown) {
      const why = `its assignment is not as you signed it (${messageOf(thrown)})`;
      all.push({ principal, signed: false, problem: why });
      continue;
    }
    const signed = await signContent({
      ...assigned.content,
      template_digest: digest,
      issued_by: session.user_id,
      // Never older than what a launcher has seen, whatever this clock says.
      issued_at: Math.max(Date.now(), assigned.assignment.issued_at + 1),
    }, key);
    await store.client.putState(assigned.room, EventType.assignment, assigned.key, { ...signed });
    all.push({ principal, signed: true, problem: null });
  }
  return all;
}

export const impact: CommandHandler<typeof results.impact> = async (call) => {
  const session = await loadSession(call);
  const store = new TemplateStore(matrixClient(session), session);
  const reference = store.normal(call.args[0]!);
  const reached = await reachedBy(store, [reference]);
  const affected = reached.map(({ affected }) => affected);
  for (const line of affectedLines(affected)) call.print(line);
  if (call.flags["resign"] !== true) {
    const names = affected.filter(({ must_sign: must }) => must).length;
    if (names > 0) {
      call.print(`${names} must be signed again: look at what changed, then add --resign`);
    }
    return { reference, assignments: affected };
  }
  const signed = await signAgain(store, session, await loadSigningKey(call), reached);
  for (const line of signedLines(signed)) call.print(line);
  const result = { reference, assignments: affected, signed };
  return signed.every((one) => one.signed) ? result : new Ended(result, Exit.failed);
};

export function signedLines(signed: readonly Signed[]): string[] {
  if (signed.length === 0) return ["nothing had to be signed"];
  return signed.map((one) =>
    one.signed
      ? `${shortName(one.principal)}: signed again`
      : `${shortName(one.principal)}: NOT SIGNED: ${neutraliseLine(one.problem ?? "")}`
  );
}
