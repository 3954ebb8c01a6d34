// SPDX-License-Identifier: Apache-2.0

/** `service destroy`: the assignment goes as an agent's does, and no role leads to it any more. */
import type * as z from "zod/mini";
import { destroy as destroyPrincipal } from "../agent/destroy.ts";
import type * as agent from "../agent/results.ts";
import type { CommandHandler } from "../framework/command.ts";
import { loadSession, matrixClient } from "../session.ts";
import { putBinding } from "./bind.ts";
import { aliasRoom, bindingsIn, localpartOf, serviceId } from "./read.ts";
import type * as results from "./results.ts";

type Gone = NonNullable<z.infer<typeof agent.destroy>>;

export const destroy: CommandHandler<typeof results.destroy> = async (call) => {
  const session = await loadSession(call);
  const service = serviceId(session, call.args[0]!);
  const gone = await destroyPrincipal({ ...call, args: [localpartOf(service)] }) as Gone;
  const client = matrixClient(session);
  const room = await aliasRoom(client, session, session.machine);
  const unbound: string[] = [];
  for (const [role, bound] of await bindingsIn(client, session, room)) {
    if (bound !== service) continue;
    await putBinding(client, room, role, {});
    unbound.push(role);
    call.print(`${role} is bound to nobody now`);
  }
  return { ...gone, unbound };
};
