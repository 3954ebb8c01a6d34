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
  for (const { path, result } of commands) {
    if (result !== undefined) known.set(path.join(" "), jsonSchemaOf(await result()));
  }
  return known;
}
