// SPDX-License-Identifier: Apache-2.0

/** `service create`: an assignment like an agent's, and the roles that it fills. */
import type * as z from "zod/mini";
import { create as createPrincipal } from "../agent/create.ts";
import type * as agent from "../agent/results.ts";
import type { CommandHandler } from "../framework/command.ts";
import { loadSession, matrixClient } from "../session.ts";
import { putBinding } from "./bind.ts";
import { aliasRoom, localpartOf, roleOf, serviceId } from "./read.ts";
import type * as results from "./results.ts";

type Created = z.infer<typeof agent.create>;

export const create: CommandHandler<typeof results.create> = async (call) => {
  const session = await loadSession(call);
  const roles = (call.flags["role"] as readonly string[] | undefined ?? []).map(roleOf);
  const service = serviceId(session, call.args[0]!);
  const made = await createPrincipal({ ...call, args: [localpartOf(service)] }) as Created;
  const client = matrixClient(session);
  const room = await aliasRoom(client, session, session.machine);
  for (const role of roles) {
    await putBinding(client, room, role, { version: 1, principal: service });
    call.print(`it fills the role ${role} on this machine`);
  }
  return { ...made, roles };
};
