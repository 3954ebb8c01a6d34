// SPDX-License-Identifier: Apache-2.0
import type { MatrixClient } from "../../messaging/mod.ts";
import { isRole } from "../../lib/token/rules.ts";
import { bindingsIn } from "../service/read.ts";
import type { OperatorSession } from "../session.ts";

/** Roles that no service fills in any of `rooms`. */
export async function unboundRoles(
  client: MatrixClient,
  session: OperatorSession,
  roles: readonly string[],
  rooms: readonly string[],
): Promise<string[]> {
  let unbound = [...new Set(roles)].filter(isRole);
  for (const room of rooms) {
    if (unbound.length === 0) break;
    const bindings = await bindingsIn(client, session, room);
    unbound = unbound.filter((role) => !bindings.has(role));
  }
  return unbound;
}
