// SPDX-License-Identifier: Apache-2.0

/** Tools whose every call is a request to the agent's proxy. */
import { McpError } from "../../mcp/errors.ts";
import type { Effect, JsonObject, Progress, PropertySchema, Tool } from "../../mcp/tool.ts";
import type { ProxyClient } from "../../lib/proxyclient/mod.ts";

export interface ProxyTool {
  /** Without `bureau_`. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly category: string;
  /** What the proxy asks for, too; null: it asks for nothing. */
  readonly action: string | null;
  /** Default: it reads. */
  readonly effect?: Effect;
  readonly idempotent?: boolean;
  readonly openWorld?: boolean;
  readonly properties?: Readonly<Record<string, PropertySchema>>;
  readonly required?: readonly string[];
  /** Fields of the result, all of them there, as JSON Schema. */
  readonly gives: JsonObject;
  readonly call: (args: JsonObject, progress: Progress) => Promise<JsonObject>;
}

export function proxyTool(given: ProxyTool): Tool {
  const { name, title, description, category, action, call } = given;
  return {
    name: `bureau_${name}`,
    title,
    description,
    category,
    inputSchema: {
      type: "object",
      properties: given.properties ?? {},
      required: given.required ?? [],
      additionalProperties: false,
    },
    outputSchema: { type: "object", properties: given.gives, required: Object.keys(given.gives) },
    effect: given.effect ?? "reads",
    idempotent: given.idempotent ?? false,
    openWorld: given.openWorld ?? false,
    actions: action === null ? [] : [action],
    call,
  };
}

export const ROOM: PropertySchema = {
  type: "string",
  description: "the room's id or alias; without it your own room",
};

/** @throws {McpError} when nothing is named and the agent has no room */
export async function roomOf(proxy: ProxyClient, { room }: JsonObject): Promise<string> {
  if (room !== undefined) return room as string;
  const own = (await proxy.identity()).room;
  if (own !== null) return own;
  throw new McpError("usage", "Cannot tell which room is meant: you have none of your own", {
    status: 400,
    hint: "name it; bureau_rooms_list shows yours",
  });
}

/** @throws {McpError} for what is no whole number of that range */
export function countOf(
  args: JsonObject,
  name: string,
  { fallback, most }: { readonly fallback: number; readonly most: number },
): number {
  const value = (args[name] ?? fallback) as number;
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new McpError(
    "usage",
    `Cannot use ${value} as "${name}": it is no count from 1 to ${most}`,
    {
      status: 400,
    },
  );
}
