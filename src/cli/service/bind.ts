// SPDX-License-Identifier: Apache-2.0

/** `service bind` and `unbind`: which service fills a role. */
import { systemClock } from "../../lib/clock.ts";
import { stateKey } from "../../lib/ref/mod.ts";
import { EventType, type ServiceBinding } from "../../lib/schema/mod.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient, type OperatorSession, roomOf } from "../session.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { aliasRoom, bindingsIn, localpartOf, roleOf, serviceId, servicesOf } from "./read.ts";
import type * as results from "./results.ts";

const ANNOUNCED_MS = 30_000;
const LOOK_MS = 200;

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

export const bind: CommandHandler<typeof results.bind> = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const role = roleOf(call.args[0]!);
  const service = serviceId(session, call.args[1]!);
  if (!await isAnnounced(call, client, session, service)) {
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

/** Waits for one that was created just now: its machine announces it once it has started. */
async function isAnnounced(
  call: Invocation,
  client: MatrixClient,
  session: OperatorSession,
  service: string,
): Promise<boolean> {
  const there = async () => (await servicesOf(client, session)).has(service);
  if (await there()) return true;
  const room = await aliasRoom(client, session, session.machine);
  const assignment = await client.getState(room, EventType.assignment, stateKey(service));
  if (assignment?.["desired"] !== "running") return false;
  using _ = call.progress?.(`waiting until ${service} is announced`);
  const deadline = systemClock.now() + ANNOUNCED_MS;
  while (systemClock.now() < deadline) {
    await systemClock.sleep(LOOK_MS, call.signal);
    if (await there()) return true;
  }
  return false;
}

export const unbind: CommandHandler<typeof results.unbind> = async (call) => {
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
