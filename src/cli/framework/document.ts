// SPDX-License-Identifier: Apache-2.0

/** A document that somebody wrote down, YAML or JSON: read whole, with where each mistake stands. */
import { isMap, isSeq, LineCounter, type Node, type Pair, parseDocument } from "yaml";
import * as z from "zod/mini";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

export interface Mistake {
  /** From 1; null where the mistake is of no one place. */
  readonly line: number | null;
  readonly column: number | null;
  /** For example `filesystem[2].mode`; empty: the whole. */
  readonly field: string;
  readonly message: string;
}

/** Who writes by hand writes less; a list of a gigabyte's worth of aliases is no document. */
const MAX_CHARACTERS = 256 * 1024;

export interface DocumentKind<T> {
  readonly schema: z.ZodMiniType<T> & { readonly shape?: Readonly<Record<string, unknown>> };
  /** `template`, as in "is no field of a template". */
  readonly noun: string;
  /** What the schema can't say. */
  readonly validate: (value: T) => readonly { readonly field: string; readonly message: string }[];
}

export interface ReadDocument<T> {
  /** Null when it can't be read at all. */
  readonly value: T | null;
  /** Every one, in the order of the text. */
  readonly mistakes: readonly Mistake[];
  /** A mistake at the place of `field`. */
  readonly mistake: (field: string, message: string) => Mistake;
}

export function readDocument<T>(text: string, kind: DocumentKind<T>): ReadDocument<T> {
  const nowhere = (field: string, message: string) => ({
    line: null,
    column: null,
    field,
    message,
  });
  const failed = (...mistakes: Mistake[]): ReadDocument<T> => ({
    value: null,
    mistakes,
    mistake: nowhere,
  });
  if (text.length > MAX_CHARACTERS) {
    return failed(nowhere("", `is longer than ${MAX_CHARACTERS} characters`));
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number | undefined): Pick<Mistake, "line" | "column"> => {
    if (offset === undefined) return { line: null, column: null };
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    return failed(
      ...document.errors.map((error) => ({
        ...place(error.pos[0]),
        field: "",
        message: error.message,
      })),
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return failed({ ...place(0), field: "", message });
  }
  const root = document.contents as Node | null;
  const mistake = (field: string, message: string): Mistake => ({
    ...place(offsetOf(root, field) ?? root?.range?.[0]),
    field,
    message,
  });
  const unknown = `is no field of a ${kind.noun}`;
  const parsed = z.safeParse(kind.schema, value);
  if (!parsed.success) {
    return failed(
      ...inOrder([
        ...parsed.error.issues.map((issue) => mistake(fieldOf(issue.path), wordsOf(issue))),
        ...Object.keys(isObject(value) ? value : {})
          .filter((key) => !Object.hasOwn(kind.schema.shape ?? {}, key))
          .map((key) => mistake(key, unknown)),
      ]),
    );
  }
  return {
    value: parsed.data,
    mistakes: inOrder([
      ...unknownFields(value, parsed.data).map((field) => mistake(field, unknown)),
      ...kind.validate(parsed.data).map(({ field, message }) => mistake(field, message)),
    ]),
    mistake,
  };
}

/** In the order of the text. */
export function inOrder(mistakes: Mistake[]): Mistake[] {
  const at = (mistake: Mistake) => mistake.line ?? 0;
  return mistakes.sort((a, b) => at(a) - at(b) || (a.column ?? 0) - (b.column ?? 0));
}

function wordsOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${article(issue.expected)}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union":
      return "has none of the forms that it may have";
    default:
      return issue.message;
  }
}

function article(type: string): string {
  const name = type === "record" ? "object" : type;
  return `${/^[aeio]/.test(name) ? "an" : "a"} ${name}`;
}

function fieldOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number"
        ? `${text}[${part}]`
        : text === ""
        ? `${String(part)}`
        : `${text}.${String(part)}`,
    "",
  );
}

/** What a schema dropped: a field that nobody reads must not pass for one that does something. */
function unknownFields(written: unknown, read: unknown, at = ""): string[] {
  if (Array.isArray(written) && Array.isArray(read)) {
    return written.flatMap((item, index) => unknownFields(item, read[index], `${at}[${index}]`));
  }
  if (!isObject(written) || !isObject(read)) return [];
  return Object.entries(written).flatMap(([key, value]) => {
    const field = at === "" ? key : `${at}.${key}`;
    return Object.hasOwn(read, key) ? unknownFields(value, read[key], field) : [field];
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Where a field stands, or the nearest around it that is there. A key may hold dots itself.
 * @returns undefined when nothing of the field is in `node`
 */
function offsetOf(node: Node | null, field: string): number | undefined {
  if (field === "") return node?.range?.[0];
  if (isSeq(node)) {
    const index = /^\[(\d+)\]\.?/.exec(field);
    const item = index === null ? undefined : node.items[Number(index[1])] as Node | undefined;
    if (item === undefined) return undefined;
    return offsetOf(item, field.slice(index![0].length)) ?? item.range?.[0];
  }
  if (!isMap(node)) return undefined;
  const [found] = (node.items as Pair<Node, Node | null>[])
    .map((pair) => ({ pair, key: String((pair.key as { value?: unknown }).value ?? "") }))
    .filter(({ key }) =>
      field === key || field.startsWith(`${key}.`) || field.startsWith(`${key}[`)
    )
    .sort((a, b) => b.key.length - a.key.length);
  if (found === undefined) return undefined;
  const rest = field.slice(found.key.length).replace(/^\./, "");
  const key = found.pair.key.range?.[0];
  return rest === "" ? key : offsetOf(found.pair.value, rest) ?? key;
}

/** `file:3:5: filesystem[0].mode: must be …`, as compilers write it. */
export function mistakeLine(source: string, { line, column, field, message }: Mistake): string {
  const place = line === null ? source : `${source}:${line}:${column}`;
  return neutraliseLine(`${place}: ${field === "" ? "" : `${field} `}${message}`);
}
