// SPDX-License-Identifier: Apache-2.0

/** `service show`. */
import { stateKey } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient } from "../session.ts";
import { aliasRoom, bindingsIn, localpartOf, serviceId, servicesOf } from "./read.ts";
import type * as results from "./results.ts";

export const show: CommandHandler<typeof results.show> = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const user = serviceId(session, call.args[0]!);
  const service = (await servicesOf(client, session)).get(user);
  if (service === undefined) {
    throw new CliError("no-such-service", `Cannot show "${user}": it is no service`, {
      status: 404,
      hint: "`bureau service list` shows those that are",
    });
  }
  const room = await aliasRoom(client, session, session.machine);
  const roles = [...await bindingsIn(client, session, room)]
    .filter(([, bound]) => bound === user).map(([role]) => role).sort();
  const machineRoom = await client.resolveAlias(`#${service.machine.slice(1)}`);
  const status = machineRoom === null
    ? null
    : await client.getState(machineRoom, EventType.principalStatus, stateKey(user));
  const phase = typeof status?.["phase"] === "string" ? status["phase"] : "unknown";
  const lines: [string, string][] = [
    ["service", shortName(localpartOf(user))],
    ["machine", shortName(localpartOf(service.machine))],
    ["phase", phase],
    ["roles", roles.join(" ") || "none on this machine: `bureau service bind`"],
    ["offers", (service.capabilities ?? []).join(" ") || "-"],
    ["description", service.description ?? "-"],
  ];
  for (const [name, value] of lines) call.print(`${name.padEnd(12)} ${neutralise(value)}`);
  return { ...service, phase, roles };
};
