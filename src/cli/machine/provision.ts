// SPDX-License-Identifier: Apache-2.0

/**
 * `machine provision`: an account, rooms and a boot file for a machine that shall join. Every step looks before
 * it writes: repeating it gives a new boot file, and the one before opens nothing any more.
 */
import * as z from "zod/mini";
import { type BootFile } from "../../lib/provision/boot_file.ts";
import { stateKey, userId } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { makeChallenge } from "../../lib/sealed/mod.ts";
import {
  changePassword,
  createMatrixClient,
  hasErrcode,
  login,
  type MatrixClient,
  MessagingError,
  type Session,
} from "../../messaging/mod.ts";
import { ensureAccount } from "../accounts.ts";
import { Registration } from "../boot/api.ts";
import { randomPassword } from "../boot/boot.ts";
import { ensureBureauRooms } from "../bureau_rooms.ts";
import { readJson, writeIfDifferent } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, loadSigningKey, matrixClient, type OperatorSession } from "../session.ts";
import { machineOf, machineRoom, readFleet } from "./fleet.ts";
import { bootFilePath, type ProvisionRecord, readRecord, writeRecord } from "./record.ts";
import type * as results from "./results.ts";

const HOUR_MS = 3_600_000;
const MAX_HOURS = 24 * 7;

export const provision: CommandHandler<typeof results.provision> = async (call) => {
  const session = await loadSession(call);
  const localpart = machineOf(session, call.args[0]!);
  const name = localpart.slice(`${session.fleet}/machine/`.length);
  const machine = userId(localpart, session.server_name);
  const lifetime = lifetimeOf(call);
  const homeserverUrl = homeserverOf(call, session);
  const client = matrixClient(session);
  const key = await loadSigningKey(call);
  await refuseJoined(client, session, localpart);

  const known = await readRecord(call, name);
  const now = Date.now();
  const record: ProvisionRecord = {
    version: 1,
    machine,
    one_time_password: randomPassword(),
    challenge: await makeChallenge(),
    issued_at: now,
    expires_at: now + lifetime,
  };
  using _ = call.progress?.(`${localpart} gets its account and its rooms`);
  await ensureMachineAccount(call, session, localpart, record, known);
  await ensureBureauRooms(
    client,
    null,
    { ...session, machine: localpart as OperatorSession["machine"] },
    machine,
    () => {},
  );
  await forgetEarlier(client, session, machine);
  const file: BootFile = {
    version: 1,
    kind: "bureau-boot-file",
    homeserver_url: homeserverUrl,
    server_name: session.server_name,
    namespace: session.namespace,
    fleet: session.fleet,
    machine: localpart,
    admins: [session.user_id],
    operator_keys: [key.publicKey],
    one_time_password: record.one_time_password,
    challenge: record.challenge.publicKey,
    expires_at: record.expires_at,
  };
  const path = bootFilePath(call, name);
  await writeIfDifferent(path, JSON.stringify(file, null, 2) + "\n");
  const expires = new Date(record.expires_at).toISOString();
  call.print(`${localpart} may join until ${expires}, once, with ${path}`);
  call.print("That file is a secret: take it there over ssh, then start Bureau with it there:");
  call.print("  sh tasks/up --join FILE");
  return { machine, boot_file: path, expires_at: expires };
};

function lifetimeOf(call: Invocation): number {
  const hours = Number(call.flags["hours"]);
  if (hours > 0 && hours <= MAX_HOURS) return Math.round(hours * HOUR_MS);
  throw new CliError("usage", `Cannot provision: --hours takes more than 0, up to ${MAX_HOURS}`);
}

function homeserverOf(call: Invocation, session: OperatorSession): string {
  const given = call.flags["homeserver"];
  if (given === undefined) return session.homeserver_url;
  const url = URL.parse(String(given));
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "") {
    throw new CliError("usage", `Cannot provision: --homeserver takes a URL, not "${given}"`);
  }
  return url.href.replace(/\/+$/, "");
}

async function refuseJoined(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<void> {
  const machine = (await readFleet(client, session)).find((one) => one.localpart === localpart);
  if (machine?.membership !== "join") return;
  throw new CliError("joined", `Cannot provision "${localpart}": it has joined already`, {
    status: 409,
    hint: machine.here
      ? "it is the machine that you are on"
      : "`bureau machine show` shows it; `bureau machine decommission` takes it out of the fleet",
  });
}

/** Its account with the one-time password of `record`, and no session. */
async function ensureMachineAccount(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
  record: ProvisionRecord,
  known: ProvisionRecord | null,
): Promise<void> {
  const name = localpart.slice(`${session.fleet}/machine/`.length);
  const homeserverUrl = session.homeserver_url;
  let password = known?.one_time_password ?? record.one_time_password;
  // On disk before the account has it: a crash in between locks nobody out.
  if (known === null) await writeRecord(call, name, record);
  let account: Session;
  try {
    account = await ensureAccount({
      homeserverUrl,
      registration: await registrationOf(call),
      user: localpart,
      password,
    });
  } catch (thrown) {
    if (!(thrown instanceof CliError) || thrown.code !== "account-taken") throw thrown;
    password = record.one_time_password;
    await writeRecord(call, name, record);
    account = await reopenAccount(session, localpart, password);
  }
  const own = { homeserverUrl, accessToken: account.access_token };
  if (password !== record.one_time_password) {
    await changePassword(own, { user: localpart, password }, record.one_time_password);
  }
  await writeRecord(call, name, record);
  await createMatrixClient(own).logout();
}

async function registrationOf(call: Invocation): Promise<Registration> {
  const stored = await readJson(`${call.stateDir}/operator/registration.json`);
  const registration = z.safeParse(Registration, stored);
  if (registration.success) return registration.data;
  throw new CliError(
    "no-registration",
    "Cannot make accounts: the registration secret is not stored",
    { hint: "run `deno task up`" },
  );
}

/** Of a machine that was decommissioned, or whose password nobody knows: by the server's admin. */
async function reopenAccount(
  session: OperatorSession,
  localpart: string,
  password: string,
): Promise<Session> {
  const user = userId(localpart, session.server_name);
  try {
    await matrixClient(session).request(
      "PUT",
      `/_synapse/admin/v2/users/${encodeURIComponent(user)}`,
      {
        what: `give "${user}" another password`,
        body: { password, deactivated: false, logout_devices: true },
      },
    );
    const homeserverUrl = session.homeserver_url;
    return await login({ homeserverUrl }, { user: localpart, password, deviceName: "Bureau" });
  } catch (cause) {
    if (!(cause instanceof MessagingError)) throw cause;
    throw new CliError(
      "account-taken",
      `Cannot use the account "${user}": it exists with another password`,
      {
        cause,
        status: 403,
        hint: "choose another name, or have the homeserver's administrator reset that account",
      },
    );
  }
}

/** What an earlier machine of this name published, and that it was distrusted: another one comes. */
async function forgetEarlier(
  client: MatrixClient,
  session: OperatorSession,
  machine: string,
): Promise<void> {
  const room = await machineRoom(client, session);
  for (const type of [EventType.machineKey, EventType.credentialRevocation]) {
    const present = await client.getState(room, type, stateKey(machine)).catch((thrown) => {
      if (hasErrcode(thrown, "M_NOT_FOUND")) return null;
      throw thrown;
    });
    if (present === null || Object.keys(present).length === 0) continue;
    await client.putState(room, type, stateKey(machine), {});
  }
}
