// SPDX-License-Identifier: Apache-2.0
import { canonicalJson, sha256Hex } from "../canonical/mod.ts";
import { formatTemplateRef, parseTemplateRef, type TemplateRef } from "../ref/mod.ts";
import type { Template } from "../schema/events.ts";
import { TemplateError } from "./errors.ts";
import { compact, mergeTemplates } from "./merge.ts";

/**
 * Reads one template as published. It checks the sender of the event: only an admin's template counts.
 * Throws when there is none.
 */
export type FetchTemplate = (ref: TemplateRef) => Promise<Template>;

/** One assignment may draw in this many templates; a loop of new names would otherwise never end. */
const MAX_TEMPLATES = 64;

/**
 * Resolves a reference with all it inherits: depth first, each template fetched once, parents merged
 * left to right, the child on top. A parent reached by two ways is no cycle.
 * @param ref `<room>[@server]:<name>`; a reference inside a template is read as its author wrote it
 * @param extra an assignment's `extra_inherits`: laid on top of what the reference resolved to
 * @returns a template without `inherits`
 * @throws {TemplateError} `cycle`, `too-many`; `RefError` for a malformed reference; what `fetch` throws
 */
export async function resolveTemplate(
  ref: string | TemplateRef,
  fetchTemplate: FetchTemplate,
  extra: readonly string[] = [],
): Promise<Template> {
  const done = new Map<string, Template>();
  const active: string[] = [];

  const resolve = async (at: TemplateRef): Promise<Template> => {
    const key = formatTemplateRef(at);
    const known = done.get(key);
    if (known !== undefined) return known;
    if (active.includes(key)) {
      const loop = [...active.slice(active.indexOf(key)), key].join(" → ");
      throw new TemplateError("cycle", `Cannot resolve "${key}": it inherits itself (${loop})`, {
        hint: "take one of these out of the inherits of another",
      });
    }
    if (done.size + active.length >= MAX_TEMPLATES) {
      throw new TemplateError(
        "too-many",
        `Cannot resolve "${key}": more than ${MAX_TEMPLATES} templates are inherited`,
      );
    }
    active.push(key);
    const { inherits = [], ...own } = await fetchTemplate(at);
    let merged: Template = {};
    for (const parent of inherits) {
      merged = mergeTemplates(merged, await resolve(parseTemplateRef(parent)));
    }
    merged = mergeTemplates(merged, own);
    active.pop();
    done.set(key, merged);
    return merged;
  };

  let whole = await resolve(typeof ref === "string" ? parseTemplateRef(ref) : ref);
  for (const added of extra) whole = mergeTemplates(whole, await resolve(parseTemplateRef(added)));
  return whole;
}

/**
 * SHA-256 hex over the canonical JSON of a resolved template: what an operator's signature covers.
 * @throws {CanonicalError} when it holds a fraction or the like; `validateTemplate` finds that earlier
 */
export async function templateDigest(resolved: Template): Promise<string> {
  return await sha256Hex(canonicalJson(compact(resolved)));
}
