// SPDX-License-Identifier: Apache-2.0

/** What a template is with all it inherits, and which of its ancestors said what. */
import { canonicalJson } from "../canonical/mod.ts";
import { formatTemplateRef, parseTemplateRef, type TemplateRef } from "../ref/mod.ts";
import type { Template } from "../schema/events.ts";
import { mountPoint } from "./merge.ts";
import { type FetchTemplate, resolveTemplate, templateDigest } from "./resolve.ts";

/** One piece of a resolved template. */
export interface Origin {
  /** For example `environment_variables.HOME` or `create_dirs[0]`. */
  readonly field: string;
  readonly value: unknown;
  /** Who said it: one template, or of a list's entry each that names it. */
  readonly from: readonly string[];
}

export interface Trace {
  readonly template: Template;
  /** What an assignment's signature covers. */
  readonly digest: string;
  /** Every template that it is made of, in the order in which they are laid on each other. */
  readonly lineage: readonly string[];
  readonly origins: readonly Origin[];
}

/** @param extra as `resolveTemplate` takes it. @throws what `resolveTemplate` throws */
export async function traceTemplate(
  ref: string | TemplateRef,
  fetchTemplate: FetchTemplate,
  extra: readonly string[] = [],
): Promise<Trace> {
  const own = new Map<string, Template>();
  const template = await resolveTemplate(ref, async (at) => {
    const found = await fetchTemplate(at);
    own.set(formatTemplateRef(at), found);
    return found;
  }, extra);
  const names = [ref, ...extra].map((one) =>
    formatTemplateRef(typeof one === "string" ? parseTemplateRef(one) : one)
  );
  const lineage = lineageOf(names, own);
  return {
    template,
    digest: await templateDigest(template),
    lineage,
    origins: originsOf(template, lineage.map((name) => [name, own.get(name)!])),
  };
}

/** A template that is reached twice counts where it is laid on last. */
function lineageOf(names: readonly string[], own: ReadonlyMap<string, Template>): string[] {
  const known = new Map<string, readonly string[]>();
  const visit = (at: string): readonly string[] => {
    const before = known.get(at);
    if (before !== undefined) return before;
    const parents = (own.get(at)?.inherits ?? []).map((ref) =>
      visit(formatTemplateRef(parseTemplateRef(ref)))
    );
    const order = lastOfEach([...parents.flat(), at]);
    known.set(at, order);
    return order;
  };
  return lastOfEach(names.flatMap((name) => [...visit(name)]));
}

function lastOfEach(names: readonly string[]): string[] {
  return [...new Set(names.toReversed())].toReversed();
}

function originsOf(template: Template, sources: readonly (readonly [string, Template])[]) {
  const said = sources.map(([name, own]) => [name, pieces(own)] as const);
  return [...pieces(template).values()].map(({ id, field, value, listed }): Origin => {
    const text = canonicalJson(value);
    const from = said.filter(([, own]) => {
      const piece = own.get(id);
      return piece !== undefined && canonicalJson(piece.value) === text;
    }).map(([name]) => name);
    return { field, value, from: listed ? from : from.slice(-1) };
  });
}

interface Piece {
  /** The same in a parent and in a child, wherever in a list it stands. */
  readonly id: string;
  readonly field: string;
  readonly value: unknown;
  /** Entry of a list that is joined: several may name it. */
  readonly listed: boolean;
}

/** As `mergeTemplates` takes a template apart. */
function pieces(template: Template): Map<string, Piece> {
  const all = new Map<string, Piece>();
  const add = (piece: Piece) => void all.set(piece.id, piece);
  for (const [name, value] of Object.entries(template)) {
    if (name === "inherits" || value === undefined) continue;
    take(name, value, add);
  }
  return all;
}

/** Fields whose keys are merged one by one. */
const KEYED: ReadonlySet<string> = new Set([
  "environment_variables",
  "roles",
  "default_payload",
  "proxy_services",
  "ssh_keys",
  "placeholders",
  "prepend_variables",
  "egress",
  "budgets",
  "budgets.prices",
  "attention",
  "authorization",
]);
/** Lists that are replaced whole. */
const WHOLE: ReadonlySet<string> = new Set(["command"]);

function take(field: string, value: unknown, add: (piece: Piece) => void): void {
  if (KEYED.has(field)) {
    for (const [key, inner] of Object.entries(value as object)) {
      if (inner !== undefined) take(`${field}.${key}`, inner, add);
    }
  } else if (field === "filesystem") {
    for (const [at, mount] of (value as NonNullable<Template["filesystem"]>).entries()) {
      const id = `filesystem:${mountPoint(mount.dest)}`;
      add({ id, field: `filesystem[${at}]`, value: mount, listed: false });
    }
  } else if (field === "secrets") {
    for (const [at, secret] of (value as NonNullable<Template["secrets"]>).entries()) {
      add({ id: `secrets:${secret.key}`, field: `secrets[${at}]`, value: secret, listed: false });
    }
  } else if (
    Array.isArray(value) && !WHOLE.has(field) && !/^(roles|default_payload)\./.test(field)
  ) {
    for (const [at, item] of value.entries()) {
      add({
        id: `${field}:${canonicalJson(item)}`,
        field: `${field}[${at}]`,
        value: item,
        listed: true,
      });
    }
  } else add({ id: field, field, value, listed: false });
}
