// SPDX-License-Identifier: Apache-2.0

/** An agent's own Matrix account. */
import * as z from "zod/mini";
import type { SigningKey } from "../../lib/signature/mod.ts";
import type { Session } from "../../messaging/mod.ts";
import { agentPassword, ensureAccount } from "../accounts.ts";
import { Registration } from "../boot/api.ts";
import { readJson } from "../files.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import type { OperatorSession } from "../session.ts";

/** A session of it; made where there is none. @throws {CliError} `no-registration` */
export async function agentAccount(
  call: Invocation,
  session: OperatorSession,
  key: SigningKey,
  localpart: string,
): Promise<Session> {
  const stored = await readJson(`${call.stateDir}/operator/registration.json`);
  const registration = z.safeParse(Registration, stored);
  if (!registration.success) {
    throw new CliError(
      "no-registration",
      "Cannot make accounts: the registration secret is not stored",
      {
        hint: "run `deno task up`",
      },
    );
  }
  return await ensureAccount({
    homeserverUrl: session.homeserver_url,
    registration: registration.data,
    user: localpart,
    password: await agentPassword(key.privateJwk, localpart),
  });
}
