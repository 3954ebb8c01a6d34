// SPDX-License-Identifier: Apache-2.0

/** What the commands of `auth` give as JSON. */
import * as z from "zod/mini";
import { daemonApi } from "../../daemon/api.ts";
import { Allowance, Grant } from "../../lib/schema/mod.ts";

const { routes } = daemonApi;
const principal = z.string();
const Rule = z.union([Allowance, Grant]);

export const check = routes.checkAuthorization.response;
export const grants = routes.authorizationOf.response;
export const allowances = routes.authorizationOf.response;
export const grant = z.object({ principal, grant: Rule });
export const deny = z.object({ principal, denial: Rule });
export const allow = z.object({ principal, allowance: Rule });
export const revoke = z.object({
  principal,
  actions: z.array(z.string()),
  ticket: z.nullable(z.string()),
  /** How many. */
  revoked: z.number(),
});
