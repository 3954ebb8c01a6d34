// SPDX-License-Identifier: Apache-2.0

/** Arguments of a call against the tool's schema: the few kinds that tools here have. */
import { McpError } from "./errors.ts";
import type { JsonObject, PropertySchema, Tool } from "./tool.ts";
import { needsYes, shownInput } from "./tool.ts";

/** @returns the arguments without `yes` @throws {McpError} `usage`, with every mistake */
export function checkArguments(tool: Tool, given: JsonObject): JsonObject {
  const schema = shownInput(tool);
  const mistakes: string[] = [];
  for (const name of schema.required) {
    if (!Object.hasOwn(given, name)) {
      mistakes.push(`"${name}" is missing (${schema.properties[name]!.description})`);
    }
  }
  for (const [name, value] of Object.entries(given)) {
    const property = Object.hasOwn(schema.properties, name) ? schema.properties[name]! : null;
    const mistake = property === null ? "is no parameter" : mistakeOf(value, property);
    if (mistake !== null) mistakes.push(`"${name}" ${mistake}`);
  }
  if (mistakes.length > 0) {
    throw new McpError("usage", `Cannot call ${tool.name}: ${mistakes.join("; ")}`, {
      status: 400,
      hint: `it takes: ${Object.keys(schema.properties).join(", ") || "nothing"}`,
    });
  }
  if (!needsYes(tool.effect)) return given;
  const { yes: _, ...rest } = given;
  return rest;
}

function mistakeOf(value: unknown, property: PropertySchema): string | null {
  switch (property.type) {
    case "array":
      return Array.isArray(value) && value.every((item) => typeof item === "string")
        ? null
        : "must be an array of strings";
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value)
        ? null
        : "must be an object";
    case "number":
      return typeof value === "number" && Number.isFinite(value) ? null : "must be a number";
    default:
      if (typeOf(value) !== property.type) return `must be a ${property.type}`;
      if (property.const === true && value !== true) return "must be true";
      return property.enum === undefined || property.enum.includes(value as string)
        ? null
        : `must be one of ${property.enum.join(", ")}`;
  }
}

const typeOf = (value: unknown): string => typeof value;
