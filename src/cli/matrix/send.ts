// SPDX-License-Identifier: Apache-2.0

/** `matrix send`. */
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient, roomOf } from "../session.ts";
import type * as results from "./results.ts";

export const send: CommandHandler<typeof results.send> = async (call) => {
  const [where, text] = call.args as [string, string];
  if (text.trim() === "") throw new CliError("usage", "Cannot send an empty message");
  const session = await loadSession(call);
  const client = matrixClient(session);
  const room = await roomOf(client, session, where);
  const eventId = await client.send(
    room,
    "m.room.message",
    { msgtype: "m.text", body: text },
    `bureau-${crypto.randomUUID()}`,
    call.signal,
  );
  call.print(`sent to ${where}`);
  return { room, event_id: eventId };
};
