// SPDX-License-Identifier: Apache-2.0

/** What the commands of `service` give as JSON. */
import * as z from "zod/mini";
import * as agent from "../agent/results.ts";
import { daemonApi } from "../../daemon/api.ts";
import { Service } from "../../lib/schema/mod.ts";

const roles = z.array(z.string());
const Announced = z.object({ ...Service.shape, roles });

export const list = z.object({
  services: z.array(Announced),
  unfilled: z.array(z.object({ role: z.string(), service: z.string() })),
});
export const show = z.object({ ...Announced.shape, phase: z.string() });
export const bind = z.object({
  role: z.string(),
  service: z.string(),
  room: z.string(),
  changed: z.boolean(),
});
export const unbind = z.object({ role: z.string(), room: z.string(), changed: z.boolean() });
export const create = z.object({ ...agent.create.shape, roles });
export const token = z.object({
  role: z.string(),
  ...daemonApi.routes.serviceToken.response.shape,
});
export const destroy = z.object({
  principal: z.string(),
  gone: z.boolean(),
  unmerged: z.optional(z.string()),
  /** Roles that nobody fills now. */
  unbound: z.array(z.string()),
});
