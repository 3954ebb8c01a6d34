// SPDX-License-Identifier: Apache-2.0

/**
 * How services and their callers meet: each by a directory of its own, so that a socket made anew, a role
 * bound elsewhere and a refreshed token are seen without a new mount (W-13, architecture rule 10).
 *
 * - `/run/bureau/listen`: a service makes `service.sock` here; nobody else writes there.
 * - `/run/bureau/service`: the daemon's, read-only in here: `<role>.sock`, `token/<role>.token`, `trust.json`.
 */
import { isRole } from "../lib/token/rules.ts";
import { SandboxError } from "./errors.ts";
import type { PlannedServices } from "./plan_parts.ts";

const LISTEN = "/run/bureau/listen";
const SERVICE = "/run/bureau/service";

/** @throws {SandboxError} naming the role, or where there is no sandbox to put them in */
export function planServices(
  spec: {
    readonly required_services: readonly string[];
    readonly optional_services: readonly string[];
    readonly service: unknown;
  },
  passthrough: boolean,
): PlannedServices | null {
  const roles = [...spec.required_services, ...spec.optional_services];
  const bad = roles.find((role) => !isRole(role));
  if (bad !== undefined) {
    throw new SandboxError(
      "bad-role",
      `Cannot plan the service "${bad.slice(0, 100)}": it is no role`,
      { hint: "a role is one word of a-z 0-9 . _ = -" },
    );
  }
  const listens = spec.service !== null;
  if (!listens && roles.length === 0) return null;
  if (passthrough) {
    throw new SandboxError(
      "passthrough-refused",
      'Cannot plan isolation "none" with services: their sockets would be beside the host\'s',
      { hint: "take service, required_services and optional_services out of the template" },
    );
  }
  return { listens };
}

/** In the tmux cell. */
export function serviceCellBinds(
  services: PlannedServices | undefined,
  dirs: { readonly listen: string; readonly service: string },
): string[] {
  if (services === undefined) return [];
  return [
    ...(services.listens ? ["--bind", dirs.listen, LISTEN] : []),
    ...["--ro-bind", dirs.service, SERVICE],
  ];
}

/** In the agent's own sandbox, nested in it. */
export function serviceBinds(services: PlannedServices | undefined): string[] {
  return serviceCellBinds(services, { listen: LISTEN, service: SERVICE });
}
