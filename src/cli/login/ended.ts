// SPDX-License-Identifier: Apache-2.0

/** A session that is over, whichever command found out: by which command there is a new one. */
import { BureauError } from "../../lib/errors.ts";
import type { CommandContext } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { storedSession } from "../session.ts";

/** As the homeserver says it, and the daemon, which asked the homeserver. */
const OVER = ["unknown-token", "unauthenticated"];

/** The error with the hint that fits a session of `login`; any other as it is. */
export async function afterLogin(thrown: unknown, context: CommandContext): Promise<unknown> {
  const { sessionFile } = context;
  if (sessionFile === undefined || !(thrown instanceof BureauError)) return thrown;
  if (thrown.status !== 401 || !OVER.includes(thrown.code)) return thrown;
  const session = await storedSession(sessionFile).catch(() => null);
  if (session === null) return thrown;
  return new CliError(thrown.code, thrown.message, {
    cause: thrown,
    status: 401,
    hint:
      `your session ended: bureau login ${session.user_id} --homeserver ${session.homeserver_url}`,
  });
}
