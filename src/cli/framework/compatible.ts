// SPDX-License-Identifier: Apache-2.0

/** What a script that was written for one version of a command would miss in the next: additions are no matter. */

export type JsonSchema = {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly const?: unknown;
};

/** As `docs/reference/cli.schema.json` has it. */
export interface CommandSchemas {
  readonly input?: JsonSchema;
  readonly output?: JsonSchema;
  readonly line?: JsonSchema;
}

/** @returns a line for each field that was removed or changed; nothing when all of `before` still holds */
export function breaksOf(
  before: Readonly<Record<string, CommandSchemas>>,
  after: Readonly<Record<string, CommandSchemas>>,
): string[] {
  return Object.entries(before).flatMap(([name, old]) => {
    const now = after[name];
    if (now === undefined) return [`\`${name}\` is gone`];
    return [
      ...inputBreaks(old.input ?? {}, now.input ?? {}),
      ...(["output", "line"] as const).flatMap((kind) => {
        const was = old[kind];
        if (was === undefined) return [];
        const is = now[kind];
        return is === undefined ? [`${kind} is gone`] : outputBreaks(was, is, kind);
      }),
    ].map((what) => `\`${name}\`: ${what}`);
  });
}

/** Of what a script gives. */
function inputBreaks(old: JsonSchema, now: JsonSchema): string[] {
  const known = new Set(old.required);
  const lost = Object.entries(old.properties ?? {}).flatMap(([name, was]) => {
    const is = now.properties?.[name];
    if (is === undefined) return [`input ${name} was removed`];
    return sameType(was, is) ? [] : [`input ${name} was ${was.type}, and is ${is.type}`];
  });
  const asked = (now.required ?? []).filter((name) => !known.has(name));
  return [...lost, ...asked.map((name) => `input ${name} must be given now`)];
}

/** Of what a script reads. */
function outputBreaks(was: JsonSchema, is: JsonSchema, where: string): string[] {
  if (takesNull(is) && !takesNull(was)) return [`${where} may be null now`];
  if (was.anyOf !== undefined || is.anyOf !== undefined) return optionBreaks(was, is, where);
  if (was.type !== undefined && !sameType(was, is)) {
    return [`${where} was ${was.type}, and is ${is.type ?? "anything"}`];
  }
  const kept = new Set(is.required);
  const fields = Object.entries(was.properties ?? {}).flatMap(([name, field]) => {
    const path = `${where}.${name}`;
    const now = is.properties?.[name];
    if (now === undefined) return [`${path} was removed`];
    const may = was.required?.includes(name) === true && !kept.has(name);
    return [...(may ? [`${path} may be missing now`] : []), ...outputBreaks(field, now, path)];
  });
  const items = was.items === undefined
    ? []
    : outputBreaks(was.items, is.items ?? {}, `${where}[]`);
  const values = typeof was.additionalProperties !== "object" ? [] : outputBreaks(
    was.additionalProperties,
    typeof is.additionalProperties === "object" ? is.additionalProperties : {},
    `${where}{}`,
  );
  return [...fields, ...items, ...values];
}

/** Each form that there was has to be there, as one of those that there are. */
function optionBreaks(was: JsonSchema, is: JsonSchema, where: string): string[] {
  const options = is.anyOf ?? [is];
  return (was.anyOf ?? [was]).flatMap((form) => {
    const tries = options.map((option) => outputBreaks(form, option, where));
    // Of one that none is like, what is nearest to it.
    return tries.toSorted((a, b) => a.length - b.length)[0] ?? [`${where} is nothing now`];
  });
}

const takesNull = ({ type, anyOf }: JsonSchema): boolean =>
  type === "null" || (Array.isArray(type) && type.includes("null")) ||
  (anyOf?.some(takesNull) ?? false);

const sameType = (was: JsonSchema, is: JsonSchema): boolean =>
  JSON.stringify(was.type) === JSON.stringify(is.type) ||
  // Whole numbers are numbers.
  (was.type === "number" && is.type === "integer");
