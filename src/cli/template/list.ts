// SPDX-License-Identifier: Apache-2.0

/** `template list` and `template show`. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { parseTemplateRef } from "../../lib/ref/mod.ts";
import { EventType, parseEvent, type Template } from "../../lib/schema/mod.ts";
import { builtinTemplates } from "../../lib/template/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { loadSession, matrixClient, type OperatorSession } from "../session.ts";
import { show as showValue } from "./compare.ts";
import { type Published, TemplateStore } from "./store.ts";
import type * as results from "./results.ts";

/** How a room's template stands to the built-in one of its name. */
export type Origin = "own" | "built-in" | "differs" | "missing";

interface Row {
  readonly template: string;
  readonly digest: string | null;
  readonly origin: Origin;
  readonly written_by: string | null;
  readonly written_at: string | null;
  readonly description: string | null;
  /** Why it can't be used. */
  readonly problem: string | null;
}

export function builtinRef(session: OperatorSession, name: string): string {
  return `${session.namespace}/template:${name}`;
}

/** The built-in template of a reference, if it is one. */
export function builtinOf(session: OperatorSession, reference: string | null): Template | null {
  const name = Object.keys(builtinTemplates).find((name) =>
    builtinRef(session, name) === reference
  );
  return name === undefined ? null : builtinTemplates[name as keyof typeof builtinTemplates];
}

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const store = new TemplateStore(matrixClient(session), session);
  const found = await store.templates();
  const rows = await Promise.all(found.map((one) => rowOf(store, session, one)));
  for (const [name, template] of Object.entries(builtinTemplates)) {
    const reference = builtinRef(session, name);
    if (found.some((one) => one.reference === reference)) continue;
    rows.push({
      template: reference,
      digest: null,
      origin: "missing",
      written_by: null,
      written_at: null,
      description: template.description ?? null,
      problem: "built in, but not in its room: `bureau template publish` puts it there",
    });
  }
  rows.sort((a, b) => a.template.localeCompare(b.template));
  const lines = table(
    ["TEMPLATE", "DIGEST", "ORIGIN", "WRITTEN", "BY", "DESCRIPTION"],
    rows.map((row) => [
      neutraliseLine(row.template),
      row.digest?.slice(0, 12) ?? "-",
      row.origin,
      row.written_at?.slice(0, 19).replace("T", " ") ?? "-",
      neutraliseLine(row.written_by ?? "-"),
      neutraliseLine(row.problem === null ? row.description ?? "" : `UNUSABLE: ${row.problem}`),
    ]),
    ["BY", "WRITTEN", "DIGEST"],
  );
  for (const line of lines) call.print(line);
  return { templates: rows };
};

async function rowOf(
  store: TemplateStore,
  session: OperatorSession,
  found: Published,
): Promise<Row> {
  const builtin = builtinOf(session, found.reference);
  const origin = builtin === null
    ? "own"
    : canonicalJson(builtin) === canonicalJson(found.content)
    ? "built-in"
    : "differs";
  const traced = found.reference === null
    ? "its room has no alias, so nothing can name it"
    : await store.tryTrace(found.reference);
  const description = found.content["description"];
  return {
    template: found.reference ?? `${found.room}:${found.name}`,
    digest: typeof traced === "string" ? null : traced.digest,
    origin,
    written_by: found.sender,
    written_at: found.at === null ? null : new Date(found.at).toISOString(),
    description: typeof description === "string" ? description : null,
    problem: typeof traced === "string" ? traced : null,
  };
}

export const show: CommandHandler<typeof results.show> = async (call) => {
  const session = await loadSession(call);
  const store = new TemplateStore(matrixClient(session), session);
  const reference = store.normal(call.args[0]!);
  if (call.flags["resolved"] === true) {
    const { template, digest, lineage, origins } = await store.trace(reference);
    call.print(`${reference} ${digest}`);
    call.print(`made of ${lineage.join(", ")}`);
    const lines = table(
      ["FIELD", "FROM", "VALUE"],
      origins.map(({ field, from, value }) => [
        neutraliseLine(field),
        from.join(", "),
        showValue(value),
      ]),
    );
    for (const line of lines) call.print(line);
    return { reference, digest, lineage, template, origins };
  }
  // Says what is wrong with one that nobody may use.
  await store.fetch(parseTemplateRef(reference));
  const found = (await store.find(parseTemplateRef(reference)))!;
  const at = found.at === null ? null : new Date(found.at).toISOString();
  const template = parseEvent(EventType.template, found.content);
  call.print(`# ${reference}, written by ${neutraliseLine(found.sender)}${at ? ` at ${at}` : ""}`);
  const { stringify } = await import("yaml");
  for (const line of stringify(template, { lineWidth: 100 }).trimEnd().split("\n")) {
    call.print(neutraliseLine(line));
  }
  return { reference, written_by: found.sender, written_at: at, template };
};
