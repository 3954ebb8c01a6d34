// SPDX-License-Identifier: Apache-2.0

/** `agent payload`: what an agent was given to work on, and other of it while it runs. */
import { messageOf } from "../../lib/errors.ts";
import { stateKey } from "../../lib/ref/mod.ts";
import { EventType, parseEvent } from "../../lib/schema/mod.ts";
import { editAssignment } from "../assignment.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { whereAssigned } from "../machine/target.ts";
import { loadSession, matrixClient, principalOf } from "../session.ts";
import { parseObject } from "./request.ts";
import type * as results from "./results.ts";

export const payload: CommandHandler<typeof results.payload> = async (call) => {
  const session = await loadSession(call);
  const localpart = principalOf(session, call.args[0]!);
  const file = call.flags["file"] as string | undefined;
  if (file !== undefined) {
    const given = parseObject("--file", await readText(call, file));
    const changed = await editAssignment(call, session, localpart, () => ({ payload: given }));
    call.print(
      changed
        ? `${localpart} is given its new payload; it reads it without a restart`
        : `${localpart} has this payload already; nothing changed`,
    );
    return { principal: localpart, changed, payload: given };
  }
  const client = matrixClient(session);
  const { machine } = await whereAssigned(client, session, localpart);
  const room = await client.resolveAlias(`#${machine}:${session.server_name}`);
  const subject = stateKey(localpart, session.server_name);
  const present = room === null ? null : await client.getState(room, EventType.assignment, subject);
  const assignment = present === null ? null : parseEvent(EventType.assignment, present);
  if (assignment === null) {
    throw new CliError(
      "no-such-agent",
      `Cannot show the payload of "${localpart}": no machine of the fleet has it`,
      { status: 404, hint: "`bureau agent list` shows what is" },
    );
  }
  const own = assignment.payload ?? {};
  call.print(JSON.stringify(own, null, 2));
  return { principal: localpart, payload: own };
};

async function readText(call: Invocation, file: string): Promise<string> {
  try {
    return file === "-"
      ? new TextDecoder().decode(await call.input())
      : await Deno.readTextFile(file);
  } catch (thrown) {
    throw new CliError("usage", `Cannot read the payload "${file}": ${messageOf(thrown)}`);
  }
}
