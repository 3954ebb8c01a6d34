// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { SpecError } from "./errors.ts";
import { scanJson } from "./scan.ts";
import { NUMBERS, type ProvisionInput, ProvisionSpec, SPEC_VERSION } from "./spec.ts";

/**
 * @param text one JSON document, with blanks around it at most
 * @throws {SpecError} that names places, and never what stands there
 */
export function parseSpec(text: string): ProvisionSpec {
  const trimmed = text.trim();
  if (trimmed === "") {
    throw new SpecError("spec-empty", "there was none", "the parent writes one JSON document");
  }
  const scan = scanJson(trimmed);
  if (scan.tooDeep) throw new SpecError("spec-malformed", "it is nested too deeply");
  let json: unknown;
  try {
    json = JSON.parse(trimmed);
  } catch {
    // The parser's own words quote the document.
    throw scan.truncated
      ? new SpecError("spec-truncated", "it ends before the JSON document is complete")
      : new SpecError("spec-malformed", "it is not one JSON document");
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new SpecError("spec-malformed", "it is not a JSON object");
  }
  refuseNewer(json);
  const wrong = [
    ...scan.duplicates.filter(isKnown).map((path) => `${path}: there twice`),
    ...scan.numbers.flatMap(([path, token]) =>
      NUMBERS.has(path) && !/^\d+$/.test(token) ? [`${path}: not written as digits alone`] : []
    ),
    // JSON.parse makes an infinity of it, which nobody could write again.
    ...scan.numbers.flatMap(([path, token]) =>
      Number.isFinite(Number(token)) ? [] : [`${path}: out of range`]
    ),
  ];
  if (wrong.length > 0) throw new SpecError("spec-invalid", wrong.slice(0, 5).join("; "));
  return validate(json);
}

/** A document of the next version may have any shape: this is looked at first. */
function refuseNewer(json: object): void {
  const { version } = json as { version?: unknown };
  if (typeof version === "number" && version > SPEC_VERSION) {
    throw new SpecError(
      "spec-newer",
      `version ${version} is newer than ${SPEC_VERSION}, the newest that this worker knows`,
      "update the worker, or have the parent write an older version",
    );
  }
}

function validate(json: unknown): ProvisionSpec {
  const parsed = z.safeParse(ProvisionSpec, json);
  if (parsed.success) return withoutAbsent(parsed.data) as ProvisionSpec;
  const issues = parsed.error.issues.slice(0, 5).map(({ path, code, message }) => {
    const place = path.map(String).join(".") || "(root)";
    return `${place}: ${code === "invalid_union" ? "no kind that this worker knows" : message}`;
  });
  throw new SpecError("spec-invalid", issues.join("; "));
}

/**
 * As the contract's first writer: fields in their order, defaults written out, what is absent left out.
 * @throws {SpecError} `spec-invalid` also for what a reader takes and nobody should write
 */
export function writeSpec(input: ProvisionInput): string {
  const spec = completeSpec(input);
  if (spec.capabilities.mcp !== undefined && spec.capabilities.mcp_proxy !== undefined) {
    throw new SpecError(
      "spec-invalid",
      "capabilities.mcp and capabilities.mcp_proxy exclude each other",
      "the proxy covers all MCP: leave mcp out",
    );
  }
  return JSON.stringify(spec);
}

/** With all defaults. @throws {SpecError} */
export function completeSpec(input: ProvisionInput): ProvisionSpec {
  return validate(input);
}

/** Not inside `mcp`, whose nulls are its own. */
function withoutAbsent(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutAbsent);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) =>
      item === undefined ? [] : [[key, key === "mcp" ? item : withoutAbsent(item)]]
    ),
  );
}

/** Keys that the contract knows, each at its place; what it ignores may be there as often as it likes. */
const KNOWN = knownPaths(ProvisionSpec, "");

function isKnown(path: string): boolean {
  return KNOWN.has(path);
}

/** What zod/mini says of its own types: wrappers, lists, alternatives and objects. */
function knownPaths(type: unknown, path: string): Set<string> {
  const { def } = (type as { _zod: { def: Record<string, unknown> } })._zod;
  const found = new Set<string>();
  const add = (inner: unknown, at: string) => {
    for (const each of knownPaths(inner, at)) found.add(each);
  };
  for (const key of ["innerType", "in", "element"]) if (def[key] !== undefined) add(def[key], path);
  for (const option of (def["options"] as unknown[] | undefined) ?? []) add(option, path);
  for (const [key, inner] of Object.entries((def["shape"] as object | undefined) ?? {})) {
    const at = path === "" ? key : `${path}.${key}`;
    found.add(at);
    // An opaque document: the last of two counts, as everywhere in JSON.
    if (key !== "mcp") add(inner, at);
  }
  return found;
}
