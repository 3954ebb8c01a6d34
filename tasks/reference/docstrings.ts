// SPDX-License-Identifier: Apache-2.0

/** What the comments of schemas say: the only source of the reference's words. */
import { parse } from "@babel/parser";

/** A schema, or one of its fields. */
export interface Described {
  readonly text: string;
  readonly fields: ReadonlyMap<string, Described>;
}

/** What is looked at of Babel's tree. */
interface Node {
  readonly type: string;
  readonly leadingComments?: readonly { readonly type: string; readonly value: string }[] | null;
  readonly [field: string]: unknown;
}

const NOTHING: Described = { text: "", fields: new Map() };

interface Constant {
  readonly text: string;
  readonly value: Node;
  readonly path: string;
}

/** @returns by name, for each constant and function of these files; of two with one name the first */
export async function readDocstrings(paths: readonly string[]): Promise<Map<string, Described>> {
  const constants: Constant[] = [];
  const names = new Map<string, Constant>();
  const local = (path: string, name: string) => `${path}#${name}`;
  for (const path of paths) {
    const { program } = parse(await Deno.readTextFile(path), {
      sourceType: "module",
      plugins: ["typescript"],
      attachComment: true,
    });
    for (const statement of program.body as unknown as Node[]) {
      for (const { name, value } of declared(statement)) {
        const constant = { text: docOf(statement), value, path };
        constants.push(constant);
        names.set(local(path, name), constant);
        if (!names.has(name)) names.set(name, constant);
      }
    }
  }
  const known = new Map<Constant, Described>();
  const describe = (constant: Constant): Described => {
    const found = known.get(constant);
    if (found !== undefined) return found;
    known.set(constant, NOTHING);
    const { text, value, path } = constant;
    const named = (name: string) => {
      const other = names.get(local(path, name)) ?? names.get(name);
      return other === undefined ? NOTHING : describe(other);
    };
    const described = { text, fields: fieldsOf(value, named) };
    known.set(constant, described);
    return described;
  };
  constants.forEach(describe);
  return new Map([...names].map(([name, constant]) => [name, describe(constant)]));
}

/** What a statement gives a name to, exported or not. */
function declared(statement: Node): { name: string; value: Node }[] {
  const exported = statement.type === "ExportNamedDeclaration";
  const declaration = (exported ? statement["declaration"] : statement) as Node | null;
  if (declaration?.type === "FunctionDeclaration") {
    return [{ name: String((declaration["id"] as Node)["name"]), value: declaration }];
  }
  if (declaration?.type !== "VariableDeclaration") return [];
  return (declaration["declarations"] as { id: Node; init: Node }[])
    .map(({ id, init }) => ({ name: String(id["name"]), value: init }));
}

/** The last comment before it that begins with two stars, as one line. */
function docOf(node: Node): string {
  const comment = node.leadingComments?.findLast(({ type, value }) =>
    type === "CommentBlock" && value.startsWith("*")
  );
  return (comment?.value ?? "").replace(/^\*/, "").split("\n")
    .map((line) => line.trim().replace(/^\*\s?/, "")).join("\n").trim();
}

/** Fields of the objects that an expression is made of: `z.optional(z.array(z.object({…})))`, `Shown`. */
function fieldsOf(
  expression: Node,
  named: (name: string) => Described,
): ReadonlyMap<string, Described> {
  const fields = new Map<string, Described>();
  const add = (more: ReadonlyMap<string, Described>) => {
    for (const [name, described] of more) fields.set(name, described);
  };
  switch (expression.type) {
    case "Identifier":
      add(named(String(expression["name"])).fields);
      break;
    case "TSAsExpression":
      add(fieldsOf(expression["expression"] as Node, named));
      break;
    case "ArrayExpression":
      for (const element of expression["elements"] as Node[]) add(fieldsOf(element, named));
      break;
    case "CallExpression": {
      const callee = expression["callee"] as Node;
      // `….check(…)`: what is checked, not by what.
      const checked = callee["property"] as Node | undefined;
      if (checked?.["name"] === "check") return fieldsOf(callee["object"] as Node, named);
      for (const argument of expression["arguments"] as Node[]) add(fieldsOf(argument, named));
      break;
    }
    case "ObjectExpression":
      for (const property of expression["properties"] as Node[]) {
        if (property.type !== "ObjectProperty") continue;
        const key = property["key"] as Node;
        const value = property["value"] as Node;
        const own = docOf(property);
        // `version,` says what the constant of that name says.
        const shared = value.type === "Identifier" ? named(String(value["name"])).text : "";
        fields.set(String(key["name"] ?? key["value"]), {
          text: own === "" ? shared : own,
          fields: fieldsOf(value, named),
        });
      }
  }
  return fields;
}
