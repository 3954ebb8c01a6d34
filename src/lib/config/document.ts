// SPDX-License-Identifier: Apache-2.0

/** A flat YAML document read by a schema, with where each value and each mistake stands. */
import { isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import * as z from "zod/mini";
import { nearest as nearestName } from "../near.ts";
import { ConfigError, type Problem } from "./errors.ts";

export interface Read<T> {
  readonly values: T;
  /** `<file>:<line>:<column>` of each setting that is there. */
  readonly places: ReadonlyMap<string, string>;
}

/**
 * @param file for messages
 * @throws {ConfigError} with every mistake
 */
export function readDocument<S extends z.ZodMiniObject>(
  text: string,
  file: string,
  schema: S,
): Read<z.infer<S>> {
  const lines = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const malformed: Problem[] = document.errors.map(({ pos, message }) => ({
    where: place(pos[0]),
    setting: "",
    message: message.split("\n")[0]!,
  }));
  if (malformed.length > 0) throw new ConfigError(malformed);

  const root = document.contents as Node | null;
  if (root === null) return { values: schema.parse({}) as z.infer<S>, places: new Map() };
  if (!isMap(root)) {
    const message = "it is no list of settings: write `name: value`, one a line";
    throw new ConfigError([{ where: place(root.range?.[0] ?? 0), setting: "", message }]);
  }
  const offsets = new Map<string, { readonly key: number; readonly value: number }>();
  const problems: (Problem & { readonly at: number })[] = [];
  const known = Object.keys(schema.shape);
  for (const { key, value } of root.items) {
    const at = (key as Node | null)?.range?.[0] ?? 0;
    const name = isScalar(key) ? String(key.value) : "";
    if (!known.includes(name)) {
      const message = unknown(name, known);
      problems.push({ at, where: place(at), setting: name.slice(0, 40), message });
      continue;
    }
    offsets.set(name, { key: at, value: (value as Node | null)?.range?.[0] ?? at });
  }
  const given = valuesOf(document, file);
  const values = Object.fromEntries([...offsets.keys()].map((name) => [name, given[name]]));
  const parsed = z.safeParse(schema, values);
  for (const issue of parsed.error?.issues ?? []) {
    const setting = String(issue.path[0] ?? "");
    const offset = nearest(document, issue.path) ?? offsets.get(setting)?.value ?? 0;
    problems.push({ at: offset, where: place(offset), setting, message: issue.message });
  }
  if (!parsed.success || problems.length > 0) {
    const inOrder = problems.toSorted((a, b) => a.at - b.at);
    throw new ConfigError(inOrder.map(({ at: _, ...problem }) => problem));
  }
  return {
    values: parsed.data as z.infer<S>,
    places: new Map([...offsets].map(([name, { key }]) => [name, place(key)])),
  };
}

/** Where the innermost thing stands that a mistake is about; null: the document has no such place. */
function nearest(
  document: ReturnType<typeof parseDocument>,
  path: readonly PropertyKey[],
): number | null {
  for (let length = path.length; length > 1; length--) {
    const node = document.getIn(path.slice(0, length), true) as Node | undefined;
    if (node?.range) return node.range[0];
  }
  return null;
}

/** Aliases can make a small text endless: there is nothing here that needs one. */
function valuesOf(
  document: ReturnType<typeof parseDocument>,
  file: string,
): Record<string, unknown> {
  try {
    return document.toJS({ maxAliasCount: 0 }) as Record<string, unknown>;
  } catch {
    const message = "aliases (`*name`) are not taken here";
    throw new ConfigError([{ where: `${file}:1:1`, setting: "", message }]);
  }
}

function unknown(name: string, known: readonly string[]): string {
  const near = nearestName(name, known);
  if (near !== undefined) return `there is no such setting; do you mean ${near}?`;
  return `there is no such setting; there are ${known.join(", ")}`;
}
