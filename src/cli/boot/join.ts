// SPDX-License-Identifier: Apache-2.0

/**
 * A machine joins a fleet with its boot file, or starts again after it has. Each step looks before it
 * writes, so it may be killed anywhere and run again.
 */
import * as z from "zod/mini";
import { DaemonBootstrap } from "../../daemon/api.ts";
import { type BootFile, Joined, JoinRequest } from "../../lib/provision/boot_file.ts";
import { readBootstrap } from "../../lib/provision/mod.ts";
import { stateKey, userId } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import {
  changePassword,
  createMatrixClient,
  login,
  MessagingError,
  type Session,
} from "../../messaging/mod.ts";
import { readJson, writeIfDifferent } from "../files.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { alive, randomPassword, writeHomeserver, writePolicy } from "./boot.ts";

export const join: CommandHandler = async (call) => {
  const request = await readBootstrap((json) => z.parse(JoinRequest, json));
  const dir = `${call.stateDir}/operator`;
  const joined = await joinedOf(dir, request);
  const token = await sessionOf(dir, joined, request.boot_file);
  await writeIfDifferent(`${dir}/joined.json`, JSON.stringify(joined));
  await writeHomeserver(dir, joined.homeserver_url);
  await writePolicy(dir, joined.operator_keys, request.bind_roots);

  const machine = userId(joined.machine, joined.server_name);
  const client = createMatrixClient({
    homeserverUrl: joined.homeserver_url,
    accessToken: token,
  });
  const rooms: Record<string, string> = {};
  const { namespace, fleet } = joined;
  for (
    const alias of [
      `${namespace}/system`,
      `${namespace}/template`,
      fleet,
      `${fleet}/machine`,
      `${fleet}/service`,
      joined.machine,
    ]
  ) {
    rooms[alias] = await client.join(`#${alias}:${joined.server_name}`);
  }
  const content = {
    algorithm: "age-x25519",
    public_key: request.machine_public_key,
    ...(joined.proof === null ? {} : { proof: joined.proof }),
  };
  await client.putState(
    rooms[`${fleet}/machine`]!,
    EventType.machineKey,
    stateKey(machine),
    content,
  );
  const document: DaemonBootstrap = {
    version: 1,
    homeserver_url: joined.homeserver_url,
    user_id: machine,
    access_token: token,
    server_name: joined.server_name,
    namespace,
    fleet,
    admins: joined.admins,
    run_dir: request.run_dir,
    state_dir: `${request.state_dir}/daemon`,
    launcher_socket: `${request.run_dir}/launcher/launcher.sock`,
  };
  await writeIfDifferent(`${dir}/machine-session.json`, JSON.stringify(document));
  return { server_name: joined.server_name, machine, rooms };
};

/** @throws {CliError} `not-joined`, `joined-elsewhere`, `own-fleet`, `boot-file-expired` */
async function joinedOf(dir: string, request: JoinRequest): Promise<Joined> {
  const known = z.safeParse(Joined, await readJson(`${dir}/joined.json`));
  const file = request.boot_file;
  if (file === null) {
    if (known.success) return known.data;
    throw new CliError("not-joined", "Cannot start: this machine has not joined a fleet", {
      hint: "join with a boot file: sh tasks/up --join FILE",
    });
  }
  if (known.success) {
    if (known.data.machine === file.machine && known.data.server_name === file.server_name) {
      return { ...known.data, proof: request.proof };
    }
    throw new CliError(
      "joined-elsewhere",
      `Cannot join as "${file.machine}": this state directory is "${known.data.machine}"`,
      { hint: "give another one with --state-dir" },
    );
  }
  if (await readJson(`${dir}/session.json`) !== null) {
    throw new CliError("own-fleet", "Cannot join: this state directory has a fleet of its own", {
      hint: "give another one with --state-dir, and --run-dir",
    });
  }
  if (Date.now() > file.expires_at) {
    throw new CliError(
      "boot-file-expired",
      `Cannot join as "${file.machine}": its boot file expired at ${
        new Date(file.expires_at).toISOString()
      }`,
      { hint: "have another one made: bureau machine provision" },
    );
  }
  const { one_time_password: _, challenge: __, expires_at: ___, kind: ____, ...rest } = file;
  return { ...rest, proof: request.proof };
}

/**
 * The access token of the machine's account. Its own password is on disk before the account has it: after a crash
 * in between, the boot file's still opens it.
 */
async function sessionOf(dir: string, joined: Joined, file: BootFile | null): Promise<string> {
  const homeserverUrl = joined.homeserver_url;
  const known = z.safeParse(DaemonBootstrap, await readJson(`${dir}/machine-session.json`));
  if (
    known.success && known.data.homeserver_url === homeserverUrl &&
    await alive(homeserverUrl, known.data.access_token)
  ) return known.data.access_token;
  const path = `${dir}/machine-account.json`;
  const account = await readJson(path) as { password?: string } | null;
  const password = account?.password ?? randomPassword();
  await writeIfDifferent(path, JSON.stringify({ password }));
  const own = account === null ? null : await tryLogin(homeserverUrl, joined.machine, password);
  if (own !== null) return own.access_token;
  const first = file === null
    ? null
    : await tryLogin(homeserverUrl, joined.machine, file.one_time_password);
  if (first === null) {
    throw new CliError(
      "locked-out",
      `Cannot log in as "${joined.machine}" at ${homeserverUrl}: the homeserver refuses ${
        file === null ? "its password" : "the boot file's password"
      }`,
      {
        status: 403,
        hint: file === null
          ? "it was decommissioned or revoked; to join again: bureau machine provision"
          : "it was used before, or withdrawn; another one: bureau machine provision",
      },
    );
  }
  const { access_token: accessToken } = first;
  await changePassword(
    { homeserverUrl, accessToken },
    { user: joined.machine, password: file!.one_time_password },
    password,
  );
  return accessToken;
}

async function tryLogin(
  homeserverUrl: string,
  user: string,
  password: string,
): Promise<Session | null> {
  try {
    return await login({ homeserverUrl }, { user, password, deviceName: "Bureau" });
  } catch (thrown) {
    if (thrown instanceof MessagingError && thrown.status === 403) return null;
    throw thrown;
  }
}
