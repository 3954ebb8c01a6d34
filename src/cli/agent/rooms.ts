// SPDX-License-Identifier: Apache-2.0

/** `agent join` and `agent leave`: rooms in which agents and people talk, beside each agent's own. */
import { userId } from "../../lib/ref/mod.ts";
import { agentPowerLevels } from "../../lib/schema/mod.ts";
import { createMatrixClient, type MatrixClient } from "../../messaging/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { ensureMember, ensureRoom, refuseForeign } from "../rooms.ts";
import {
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  principalOf,
  roomOf,
} from "../session.ts";
import { agentAccount } from "./account.ts";
import type * as results from "./results.ts";

export const join: CommandHandler<typeof results.join> = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const localpart = await agentOf(client, session, call.args[0]!);
  const where = call.args[1]!;
  const room = await roomFor(client, session, where);
  const user = userId(localpart, session.server_name);
  const changed = await withAgent(
    call,
    session,
    localpart,
    (agent) => ensureMember(client, room, user, agent),
  );
  call.print(
    changed
      ? `${localpart} is in ${where}; there it listens to what calls it`
      : `${localpart} is in ${where} already; nothing changed`,
  );
  return { principal: localpart, room, changed };
};

export const leave: CommandHandler<typeof results.leave> = async (call) => {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const localpart = await agentOf(client, session, call.args[0]!);
  const where = call.args[1]!;
  const room = await roomOf(client, session, where);
  if (room === await roomOf(client, session, localpart)) {
    throw new CliError("usage", `Cannot take "${localpart}" out of its own room`, {
      hint: "`bureau agent drain` stops it, `bureau agent destroy` removes it",
    });
  }
  const user = userId(localpart, session.server_name);
  const changed = (await client.members(room)).includes(user);
  if (changed) await withAgent(call, session, localpart, (agent) => agent.leave(room));
  call.print(
    changed ? `${localpart} has left ${where}` : `${localpart} is not in ${where}; nothing changed`,
  );
  return { principal: localpart, room, changed };
};

/** @throws {CliError} `no-such-agent`: an account is made for those alone that `agent create` made */
async function agentOf(
  client: MatrixClient,
  session: OperatorSession,
  name: string,
): Promise<string> {
  const localpart = principalOf(session, name);
  if (await client.resolveAlias(`#${localpart}:${session.server_name}`) !== null) return localpart;
  throw new CliError("no-such-agent", `Cannot find "${localpart}"`, {
    status: 404,
    hint: "`bureau agent list` shows what there is, `bureau agent create` makes one",
  });
}

/** Agents listen in rooms of the operator alone: in another's they would be of no use. */
async function roomFor(
  client: MatrixClient,
  session: OperatorSession,
  text: string,
): Promise<string> {
  if (text.startsWith("room/")) {
    const wanted = {
      alias: principalOf(session, text),
      name: text.slice("room/".length),
      powerLevels: agentPowerLevels([session.user_id], []),
    };
    return (await ensureRoom(client, session.server_name, session.user_id, wanted)).id;
  }
  const room = await roomOf(client, session, text);
  await refuseForeign(client, room, text, session.user_id);
  return room;
}

/** With a session of the agent's account that is over afterwards. */
async function withAgent<T>(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
  act: (agent: MatrixClient) => Promise<T>,
): Promise<T> {
  const key = await loadSigningKey(call);
  const account = await agentAccount(call, session, key, localpart);
  const agent = createMatrixClient({
    homeserverUrl: session.homeserver_url,
    accessToken: account.access_token,
  });
  try {
    return await act(agent);
  } finally {
    await agent.logout();
  }
}
