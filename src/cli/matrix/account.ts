// SPDX-License-Identifier: Apache-2.0

/** `matrix account`: what a person types into Element, or another Matrix client, to be the operator there. */
import { parseUserId } from "../../lib/ref/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession } from "../session.ts";
import type * as results from "./results.ts";

export const account: CommandHandler<typeof results.account> = async (call) => {
  const session = await loadSession(call);
  const shown = call.flags["show-password"] === true;
  if (shown && session.password === undefined) {
    throw new CliError(
      "no-password",
      `Cannot show the password of ${session.user_id}: it is not kept here`,
      {
        status: 404,
        hint: "it is the one that you logged in with",
      },
    );
  }
  if (shown && (call.json || !Deno.stdout.isTerminal())) {
    throw new CliError("not-a-terminal", "Cannot show the password: this is no terminal", {
      hint: "run it in a terminal: a password in a file or a log is everybody's",
    });
  }
  const { localpart } = parseUserId(session.user_id);
  call.print(`homeserver  ${session.homeserver_url}`);
  call.print(`user        ${localpart}   (${session.user_id})`);
  if (shown) call.print(`password    ${session.password}`);
  else if (session.password !== undefined) {
    call.print("password    --show-password prints it, on a terminal");
  } else call.print("password    the one that you logged in with");
  const space = `#${session.namespace}:${session.server_name}`;
  call.print(`space       ${space}, with the room of each agent in it`);
  return {
    homeserver_url: session.homeserver_url,
    user_id: session.user_id,
    user: localpart,
    space,
    password_stored: session.password !== undefined,
  };
};
