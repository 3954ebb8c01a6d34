// SPDX-License-Identifier: Apache-2.0

/** `logout`: on the homeserver first, then here, so that no live token is only forgotten. */
import { MessagingError } from "../../messaging/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { matrixClient, storedSession } from "../session.ts";
import { fileOf } from "./login.ts";
import type * as results from "./results.ts";

export const logout: CommandHandler<typeof results.logout> = async (call) => {
  const file = fileOf(call);
  const session = await storedSession(file);
  if (session === null) {
    throw new CliError("not-logged-in", "Cannot log out: you did not log in", {
      status: 404,
      hint: "`bureau whoami` shows whose session commands use",
    });
  }
  let ended = true;
  try {
    await matrixClient(session).logout();
  } catch (thrown) {
    if (!(thrown instanceof MessagingError)) throw thrown;
    ended = thrown.isAccountLost;
    if (!ended && call.flags["forget"] !== true) {
      throw new CliError("not-ended", `${thrown.message}; the session is still here`, {
        cause: thrown,
        status: thrown.status,
        hint: "try again, or remove it from this machine alone: bureau logout --forget",
      });
    }
  }
  await Deno.remove(file);
  await Deno.remove(`${file.slice(0, file.lastIndexOf("/"))}/homeserver`).catch(() => {});
  call.print(
    ended
      ? `${session.user_id} is logged out`
      : `${session.user_id} is forgotten here; end the session in your list of devices, in Element for example`,
  );
  return { user_id: session.user_id, ended };
};
