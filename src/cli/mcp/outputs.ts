// SPDX-License-Identifier: Apache-2.0

/** What commands give, as JSON Schema: of their own schemas (`results.ts` of each group). */
import * as z from "zod/mini";
import type { JsonObject } from "../../mcp/tool.ts";
import type { CommandSpec, ResultSchema } from "../framework/command.ts";

/** Of a command that gave nothing: what it said (`tools.ts`). */
const LINES = {
  properties: { lines: { type: "array", items: { type: "string" } } },
  required: ["lines"],
};

/** Of one that destroys, called with `dry-run`. */
const DRY_RUN = {
  properties: {
    dry_run: { const: true },
    would: { type: "string" },
    lines: { type: "array", items: { type: "string" } },
  },
  required: ["dry_run", "would", "lines"],
};

/** With what later versions add: nothing is closed. An object at the root, which the protocol asks for. */
export function jsonSchemaOf(schema: ResultSchema): JsonObject {
  const { def } = schema._zod;
  if (def.type === "optional") {
    const { innerType } = def as z.core.$ZodOptionalDef;
    return { type: "object", anyOf: [jsonSchemaOf(innerType), LINES] };
  }
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return { type: "object", ...rest };
}

/** By the command's words. */
export async function outputSchemas(
  commands: readonly CommandSpec[],
): Promise<ReadonlyMap<string, JsonObject>> {
  const known = new Map<string, JsonObject>();
  for (const { path, result, destroys } of commands) {
    if (result === undefined) continue;
    const schema = jsonSchemaOf(await result());
    known.set(
      path.join(" "),
      destroys ? { type: "object", anyOf: [schema, DRY_RUN] } : schema,
    );
  }
  return known;
}
