// SPDX-License-Identifier: Apache-2.0

/** `service list`. */
import { neutralise } from "../../lib/terminal/mod.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { loadSession, matrixClient } from "../session.ts";
import { aliasRoom, bindingsIn, localpartOf, servicesOf } from "./read.ts";
import type * as results from "./results.ts";

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const services = await servicesOf(client, session);
  const room = await aliasRoom(client, session, session.machine);
  const bindings = await bindingsIn(client, session, room);
  const rolesOf = (user: string) =>
    [...bindings].filter(([, service]) => service === user).map(([role]) => role).sort();
  const shown = [...services.values()].map((service) => ({
    ...service,
    roles: rolesOf(service.principal),
  }));
  const unfilled = [...bindings].filter(([, service]) => !services.has(service))
    .map(([role, service]) => ({ role, service }));
  if (shown.length === 0) call.print("no services");
  else {
    const rows = shown.map((one) => [
      shortName(localpartOf(one.principal)),
      shortName(localpartOf(one.machine)),
      one.roles.join(" ") || "-",
      neutralise(one.description ?? ""),
    ]);
    for (const line of table(["SERVICE", "MACHINE", "ROLES", ""], rows)) call.print(line);
  }
  for (const { role, service } of unfilled) {
    call.print(`${role} is bound to ${shortName(localpartOf(service))}, which is no service now`);
  }
  return { services: shown, unfilled };
};
