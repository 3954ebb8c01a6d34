// SPDX-License-Identifier: Apache-2.0

/** Schemas as tables: each field with its type, whether it may be absent, and what its comment says. */
import type { Described } from "./docstrings.ts";

/** A check of a number is `greater_than` or `less_than` a value. */
interface Limit {
  readonly check: string;
  readonly value?: unknown;
}

/** What is looked at of zod's own description of a schema. */
interface Schema {
  readonly _zod: {
    readonly def: {
      readonly type: string;
      readonly innerType?: Schema;
      readonly element?: Schema;
      readonly valueType?: Schema;
      readonly options?: readonly Schema[];
      readonly entries?: Readonly<Record<string, string>>;
      readonly values?: readonly unknown[];
      readonly shape?: Readonly<Record<string, Schema>>;
      readonly format?: string;
      readonly checks?: readonly { readonly _zod: { readonly def: Limit } }[];
    };
  };
}

export interface Row {
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  readonly text: string;
}

/** Schemas with a name, each a section of its own: where one is used, its name stands. */
export class Sections {
  readonly #names = new Map<unknown, string>();
  readonly #docs: ReadonlyMap<string, Described>;
  readonly #link: (name: string) => string;
  /** Fields that nothing is said about, and schemas. */
  readonly undescribed: string[] = [];

  constructor(
    modules: Readonly<Record<string, unknown>>,
    docs: ReadonlyMap<string, Described>,
    link: (name: string) => string,
  ) {
    this.#docs = docs;
    this.#link = link;
    for (const [name, value] of Object.entries(modules)) {
      const def = (value as Schema | null)?._zod?.def;
      // A choice of words is shown where it is used.
      if (def !== undefined && def.type !== "enum") this.#names.set(value, name);
    }
  }

  nameOf(schema: unknown): string {
    const name = this.#names.get(schema);
    if (name === undefined) throw new Error("a schema that is not exported has no section");
    return name;
  }

  /** @throws Error where none is called so */
  schemaOf(name: string): unknown {
    for (const [schema, known] of this.#names) if (known === name) return schema;
    throw new Error(`no schema is called ${name}`);
  }

  textOf(name: string): string {
    const text = this.#docs.get(name)?.text ?? "";
    if (text === "") this.undescribed.push(name);
    return text.replaceAll("\n", " ");
  }

  /** @param uses is told of each section that a row leads to */
  rows(name: string, uses?: (name: string) => void): Row[] {
    return this.rowsOf(name, this.schemaOf(name), this.#docs.get(name), uses);
  }

  /** Of a schema without a section. */
  rowsOf(
    name: string,
    whole: unknown,
    about: Described | undefined,
    uses: (name: string) => void = () => {},
  ): Row[] {
    const rows: Row[] = [];
    const visit = (schema: Schema, described: Described | undefined, path: string): string => {
      const known = path === "" ? undefined : this.#names.get(schema);
      if (known !== undefined) {
        uses(known);
        return this.#link(known);
      }
      const { def } = schema._zod;
      switch (def.type) {
        case "optional":
          return visit(def.innerType!, described, path);
        case "nullable":
          return `${visit(def.innerType!, described, path)}, or null`;
        case "array":
          return `list of ${visit(def.element!, described, `${path}[]`)}`;
        case "record":
          return `by name: ${visit(def.valueType!, described, `${path}.*`)}`;
        case "union":
          return def.options!.map((option) => visit(option, described, path)).join(", or ");
        case "enum":
          return Object.values(def.entries!).map((word) => `\`"${word}"\``).join(" ");
        case "literal":
          return def.values!.map((value) => `\`${JSON.stringify(value)}\``).join(" ");
        case "object":
          for (const [field, value] of Object.entries(def.shape!)) {
            const at = path === "" ? field : `${path}.${field}`;
            const row = rows.push({ path: at, type: "", required: false, text: "" }) - 1;
            const said = described?.fields.get(field);
            const text = (said?.text ?? "").replaceAll("\n", " ");
            if (text === "") this.undescribed.push(`${name}.${at}`);
            const type = visit(value, said, at);
            rows[row] = { path: at, type, required: value._zod.def.type !== "optional", text };
          }
          return "object";
        case "number":
          return (def.format === "safeint" ? "integer" : "number") +
            rangeOf((def.checks ?? []).map((check) => check._zod.def));
        case "string":
          return "text";
        case "boolean":
          return "true or false";
        case "unknown":
          return "anything";
      }
      throw new Error(`${name}.${path}: the reference knows no "${def.type}"`);
    };
    const type = visit(whole as Schema, about, "");
    return rows.length > 0 ? rows : [{ path: "", type, required: true, text: "" }];
  }
}

function rangeOf(limits: readonly Limit[]): string {
  const valueOf = (kind: string) => limits.find(({ check }) => check === kind)?.value;
  const least = valueOf("greater_than");
  const most = valueOf("less_than");
  if (least !== undefined && most !== undefined) return ` ${least}–${most}`;
  return least !== undefined ? ` ≥ ${least}` : most !== undefined ? ` ≤ ${most}` : "";
}

/** A table's cell. */
export const cell = (text: string) => text.replaceAll("|", "\\|");

export function table(rows: readonly Row[]): string[] {
  if (rows.length === 1 && rows[0]!.path === "") return [`Type: ${rows[0]!.type}`, ""];
  return [
    "| field | type | | what it is |",
    "|---|---|---|---|",
    ...rows.map(({ path, type, required, text }) =>
      `| \`${path}\` | ${cell(type)} | ${required ? "required" : ""} | ${cell(text)} |`
    ),
    "",
  ];
}
