// SPDX-License-Identifier: Apache-2.0

/** `whoami`. */
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient, sessionPath } from "../session.ts";
import type * as results from "./results.ts";

export const whoami: CommandHandler<typeof results.whoami> = async (call) => {
  const session = await loadSession(call);
  const source = call.sessionFile === undefined ? "operator" : "login";
  const file = sessionPath(call);
  const known = {
    user_id: session.user_id,
    homeserver_url: session.homeserver_url,
    fleet: session.fleet,
    source,
    file,
  } as const;
  call.print(`${session.user_id} at ${session.homeserver_url}`);
  call.print(
    source === "login"
      ? `by \`bureau login\`: ${file}`
      : `as the operator of the Bureau in ${call.stateDir}`,
  );
  if (call.flags["verify"] !== true) return known;
  const { user_id, device_id } = await matrixClient(session).whoami(call.signal);
  if (user_id !== session.user_id) {
    throw new CliError(
      "other-user",
      `Cannot verify: the session is of ${user_id}, not of ${session.user_id}`,
      {
        status: 409,
        hint: source === "login"
          ? "log in again: bureau login USER"
          : "`deno task down`, then `deno task up`, logs in again",
      },
    );
  }
  call.print(
    `the homeserver knows this session${device_id === undefined ? "" : `: device ${device_id}`}`,
  );
  return { ...known, verified: true, device_id: device_id ?? null };
};
