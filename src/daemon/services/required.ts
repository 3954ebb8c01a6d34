// SPDX-License-Identifier: Apache-2.0
import type { Assignment, Service, Template } from "../../lib/schema/mod.ts";
import { isRole } from "../../lib/token/rules.ts";
import type { Problem } from "../reconcile.ts";
import { bindingOf, type DirectoryContext } from "./directory.ts";

/** `code` of what an unbound role holds back; the sync tells when it is bound. */
export const ROLE_UNBOUND = "role-unbound";

/** Roles whose services it needs, each once. */
export function requiredRoles(
  template: Pick<Template, "required_services">,
  assignment: Pick<Assignment, "required_services_override"> | null,
): string[] {
  const asked = assignment?.required_services_override ?? template.required_services ?? [];
  return [...new Set(asked)].filter(isRole);
}

/** What a principal has to do with services. */
export interface Wants {
  readonly roles: readonly string[];
  /** Nobody misses them. */
  readonly optional: readonly string[];
  /** What is told of it where it is one. */
  readonly service: Omit<Service, "principal" | "machine"> | null;
}

/** Null: nothing. */
export function wantsOf(template: Template, assignment: Assignment | null): Wants | null {
  const roles = requiredRoles(template, assignment);
  const optional = [...new Set(template.optional_services ?? [])]
    .filter((role) => isRole(role) && !roles.includes(role));
  if (template.service !== undefined) {
    const { description, capabilities } = template.service;
    const service = {
      ...(description === undefined ? {} : { description }),
      ...(capabilities === undefined ? {} : { capabilities }),
      endpoints: { http: "service.sock" },
    };
    return { roles, optional, service };
  }
  return roles.length === 0 && optional.length === 0 ? null : { roles, optional, service: null };
}

/**
 * A role is filled from the moment it is bound, whether or not its service runs: two that need each other start.
 * @param rooms where the roles are looked for, in this order
 */
export function heldByRoles(
  context: DirectoryContext,
  roles: readonly string[],
  rooms: readonly (string | undefined)[],
): Problem | undefined {
  const unbound = roles.filter((role) => bindingOf(context, role, rooms) === null);
  if (unbound.length === 0) return undefined;
  const named = unbound.length === 1 ? `role ${unbound[0]}` : `roles ${unbound.join(", ")}`;
  return {
    code: ROLE_UNBOUND,
    message: `waiting for the ${named}: no service fills ${unbound.length === 1 ? "it" : "them"}`,
    hint: `bind one: bureau service bind ${unbound[0]} NAME`,
  };
}
