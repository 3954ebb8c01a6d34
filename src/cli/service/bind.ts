// SPDX-License-Identifier: Apache-2.0

/** `service bind` and `unbind`: which service fills a role. */
import { EventType, type ServiceBinding } from "../../lib/schema/mod.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient, type OperatorSession, roomOf } from "../session.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { aliasRoom, bindingsIn, localpartOf, roleOf, serviceId, servicesOf } from "./read.ts";

async function bindingRoom(
  call: Invocation,
  client: MatrixClient,
  session: OperatorSession,
): Promise<string> {
  const { room } = call.flags;
  return room === undefined
    ? await aliasRoom(client, session, session.machine)
    : await roomOf(client, session, String(room));
}

export const bind: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const role = roleOf(call.args[0]!);
  const service = serviceId(session, call.args[1]!);
  const services = await servicesOf(client, session);
  if (!services.has(service)) {
    throw new CliError("no-such-service", `Cannot bind "${role}": "${service}" is no service`, {
      status: 404,
      hint: "`bureau service list` shows those that run; `bureau service create` makes one",
    });
  }
  const room = await bindingRoom(call, client, session);
  const changed = await putBinding(client, room, role, { version: 1, principal: service });
  const name = shortName(localpartOf(service));
  call.print(changed ? `${role} is ${name} now` : `${role} is ${name} already`);
  return { role, service, room, changed };
};

export const unbind: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const role = roleOf(call.args[0]!);
  const room = await bindingRoom(call, client, session);
  const changed = (await bindingsIn(client, session, room)).has(role);
  if (changed) await putBinding(client, room, role, {});
  call.print(changed ? `${role} is bound to nobody now` : `${role} was bound to nobody`);
  return { role, room, changed };
};

/** @returns whether that changed anything */
export async function putBinding(
  client: MatrixClient,
  room: string,
  role: string,
  content: ServiceBinding | Record<string, never>,
): Promise<boolean> {
  return await client.putState(room, EventType.serviceBinding, role, { ...content }) !== null;
}
