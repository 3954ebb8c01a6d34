// SPDX-License-Identifier: Apache-2.0

/** `matrix user create`: an account for somebody else, who then sees what the operator invites them to. */
import * as z from "zod/mini";
import { parseLocalpart } from "../../lib/ref/mod.ts";
import { registerWithSharedSecret, registerWithToken } from "../../messaging/mod.ts";
import { createMatrixClient, hasErrcode, type MatrixClient } from "../../messaging/mod.ts";
import { Registration } from "../boot/api.ts";
import { randomPassword } from "../boot/boot.ts";
import { readSecretInput } from "../credential/input.ts";
import { readJson } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { ensureMember } from "../rooms.ts";
import {
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  roomOf,
} from "../session.ts";
import type * as results from "./results.ts";

export const createUser: CommandHandler<typeof results.createUser> = async (call) => {
  const user = parseLocalpart(call.args[0]!);
  const session = await loadSession(call);
  if (user.includes("/")) {
    throw new CliError("usage", `Cannot create "${user}": a person's name holds no /`, {
      hint: "names with / are Bureau's own: agents, services, machines",
    });
  }
  // The registration secret is the operator's alone, as the key is.
  await loadSigningKey(call);
  const client = matrixClient(session);
  const rooms = await roomsOf(call, client, session);
  const password = await passwordFor(call, user);
  const account = await register(call, session, user, password.value);
  const theirs = createMatrixClient({
    homeserverUrl: session.homeserver_url,
    accessToken: account.access_token,
  });
  try {
    for (const { id } of rooms) await ensureMember(client, id, account.user_id, theirs);
  } finally {
    // It is theirs now: no session of it stays with the operator.
    await theirs.logout();
  }
  call.print(`${account.user_id} is made, and in ${rooms.map(({ name }) => name).join(", ")}`);
  if (password.generated) call.print(`password    ${password.value}   (shown this once)`);
  call.print(
    `Element     homeserver ${session.homeserver_url}, user ${user}; or: bureau login ${user} --homeserver ${session.homeserver_url}`,
  );
  return {
    user_id: account.user_id,
    homeserver_url: session.homeserver_url,
    rooms: rooms.map(({ id }) => id),
  };
};

/** The space, in which a client shows the others, and what was named; looked up before anything is made. */
async function roomsOf(
  call: Invocation,
  client: MatrixClient,
  session: OperatorSession,
): Promise<{ name: string; id: string }[]> {
  const named = (call.flags["invite"] ?? []) as readonly string[];
  const space = `#${session.namespace}:${session.server_name}`;
  return await Promise.all(
    [...new Set([space, ...named])].map(async (name) => ({
      name,
      id: await roomOf(client, session, name),
    })),
  );
}

async function passwordFor(
  call: Invocation,
  user: string,
): Promise<{ value: string; generated: boolean }> {
  const file = call.flags["password-file"] as string | undefined;
  if (file !== undefined) {
    const text = await readSecretInput(file, `Password for ${user}`);
    const value = text.replace(/\r?\n[^]*$/, "");
    if (value === "") throw new CliError("usage", `Cannot create "${user}": the password is empty`);
    return { value, generated: false };
  }
  if (call.json || !Deno.stdout.isTerminal()) {
    throw new CliError(
      "usage",
      `Cannot create "${user}": a password would be written to no terminal`,
      {
        hint: "give one with --password-file FILE, or run it in a terminal, which is shown it once",
      },
    );
  }
  return { value: randomPassword().slice(0, 32), generated: true };
}

async function register(
  call: Invocation,
  session: OperatorSession,
  user: string,
  password: string,
) {
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
  const { kind, value } = registration.data;
  const options = { homeserverUrl: session.homeserver_url };
  const account = { user, password, deviceName: "Bureau", admin: false };
  try {
    return kind === "shared"
      ? await registerWithSharedSecret(options, account, value)
      : await registerWithToken(options, account, value);
  } catch (thrown) {
    if (!hasErrcode(thrown, "M_USER_IN_USE")) throw thrown;
    throw new CliError("user-exists", `Cannot create "${user}": there is such an account already`, {
      cause: thrown,
      status: 409,
      hint: "choose another name; invite the one that is there in any Matrix client",
    });
  }
}
