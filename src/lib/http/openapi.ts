// SPDX-License-Identifier: Apache-2.0

/** An `Api` table as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0). */
import * as z from "zod/mini";
import type { Api, Route } from "./api.ts";

const ERROR_SCHEMA = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message"],
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        hint: { type: "string" },
      },
    },
  },
};

/** @returns a JSON value; paths and operations in the order of the table */
export function openapi(api: Api): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries(api.routes)) {
    const path = route.path.replace(/:(\w+)/g, "{$1}").replace(/\*$/, "{path}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(name, route) };
  }
  return {
    openapi: "3.1.0",
    info: { title: api.title, version: api.version },
    paths,
    components: { schemas: { Error: ERROR_SCHEMA } },
  };
}

function operation(name: string, route: Route): Record<string, unknown> {
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map((match) => match[1]!);
  const parameters = [
    ...inPath.map((parameter) => ({
      name: parameter,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...(route.path.endsWith("*")
      ? [{ name: "path", in: "path", required: true, schema: { type: "string" } }]
      : []),
    ...Object.entries(route.query ?? {}).map(([parameter, description]) => ({
      name: parameter,
      in: "query",
      description,
      schema: { type: "string" },
    })),
  ];
  return {
    operationId: name,
    summary: route.summary,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.request === undefined
      ? {}
      : { requestBody: { required: true, content: jsonOf(route.request) } }),
    responses: {
      ...success(route),
      default: {
        description: "Refused or failed",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

function success(route: Route): Record<string, unknown> {
  switch (route.kind ?? "json") {
    case "sse":
      return { 200: { description: "A stream of events", content: { "text/event-stream": {} } } };
    case "text":
      return { 200: { description: "Text", content: { "text/plain": {} } } };
    case "websocket":
      return { 101: { description: "Switches to WebSocket" } };
    case "json":
      return route.response === undefined
        ? { 200: { description: "Done" } }
        : { 200: { description: "Done", content: jsonOf(route.response) } };
  }
}

function jsonOf(schema: z.ZodMiniType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { unrepresentable: "any" }) as Record<
    string,
    unknown
  >;
  return { "application/json": { schema: rest } };
}
