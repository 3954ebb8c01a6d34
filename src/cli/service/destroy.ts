// SPDX-License-Identifier: Apache-2.0

/** `service destroy`: the assignment goes as an agent's does, and no role leads to it any more. */
import { planOf } from "../agent/destroy.ts";
import type { Destroyer, Invocation } from "../framework/command.ts";
import { loadSession, matrixClient } from "../session.ts";
import { putBinding } from "./bind.ts";
import { aliasRoom, bindingsIn, localpartOf, serviceId } from "./read.ts";
import type * as results from "./results.ts";

export const destroy: Destroyer<typeof results.destroy> = async (call) => {
  const session = await loadSession(call);
  const service = serviceId(session, call.args[0]!);
  const plan = await planOf({ ...call, args: [localpartOf(service)] });
  if (plan === null) return null;
  return {
    ...plan,
    lines: [...plan.lines, "the roles that it fills here are bound to nobody"],
    run: async () => ({ ...await plan.run(), unbound: await unbind(call, service) }),
  };
};

async function unbind(call: Invocation, service: string): Promise<string[]> {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const room = await aliasRoom(client, session, session.machine);
  const unbound: string[] = [];
  for (const [role, bound] of await bindingsIn(client, session, room)) {
    if (bound !== service) continue;
    await putBinding(client, room, role, {});
    unbound.push(role);
    call.print(`${role} is bound to nobody now`);
  }
  return unbound;
}
