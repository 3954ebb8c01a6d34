// SPDX-License-Identifier: Apache-2.0

/** What commands give, where it is what the daemon answers: the same schemas, as JSON Schema. */
import * as z from "zod/mini";
import { daemonApi, PrincipalView } from "../../daemon/api.ts";
import type { JsonObject } from "../../mcp/tool.ts";

const { routes } = daemonApi;

/** With what commands add: clients refuse a result that isn't of this form, so nothing is closed. */
const objectOf = (schema: z.core.$ZodType) => (): JsonObject => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
};

export const outputSchemas: Readonly<Record<string, () => JsonObject>> = {
  "list": objectOf(
    z.object({
      principals: z.array(z.object({
        ...PrincipalView.shape,
        usage: z.nullable(routes.usage.response),
        cpu_percent: z.nullable(z.number()),
      })),
    }),
  ),
  "agent list": objectOf(routes.list.response),
  "agent usage": objectOf(routes.usage.response),
  "agent output": objectOf(routes.output.response),
  "egress list": objectOf(routes.asks.response),
  "egress show": objectOf(routes.egressOf.response),
  "auth check": objectOf(routes.checkAuthorization.response),
  "auth grants": objectOf(routes.authorizationOf.response),
  "auth allowances": objectOf(routes.authorizationOf.response),
  "notify list": objectOf(routes.notifyTargets.response),
};
