// SPDX-License-Identifier: Apache-2.0

/**
 * First boot: the operator's account and key, the machine's account and policy, the namespace's rooms
 * and templates. Each step looks before it writes, so it may be killed anywhere and run again.
 */
import * as z from "zod/mini";
import { DaemonBootstrap } from "../../daemon/api.ts";
import type { LauncherPolicy } from "../../launcher/api.ts";
import { readBootstrap } from "../../lib/provision/mod.ts";
import { parseLocalpart, parseUserId, stateKey, userId } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { generateSigningKey, parseSigningKey, type SigningKey } from "../../lib/signature/mod.ts";
import { builtinTemplates } from "../../lib/template/mod.ts";
import { createMatrixClient, MessagingError } from "../../messaging/mod.ts";
import { ensureAccount } from "../accounts.ts";
import { readJson, writeIfDifferent } from "../files.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { ensureBureauRooms } from "../bureau_rooms.ts";
import { OperatorSession } from "../session.ts";
import { BootRequest, type Registration } from "./api.ts";

export const boot: CommandHandler = async (call) => {
  const request = await readBootstrap((json) => z.parse(BootRequest, json));
  const registration = registrationOf(request);
  const dir = `${call.stateDir}/operator`;
  let changes = 0;
  const count = (changed: boolean) => void (changes += changed ? 1 : 0);

  const operator = await operatorSession(dir, request, registration);
  count(await writeIfDifferent(`${dir}/registration.json`, JSON.stringify(registration)));
  count(await writeHomeserver(dir, request.homeserver_url));
  const key = await signingKey(dir);
  count(await writePolicy(dir, [key.publicKey], request.bind_roots));

  const server = operator.server_name;
  const machineId = userId(operator.machine, server);
  const machine = await machineSession(dir, request, registration, operator);
  const admin = createMatrixClient({
    homeserverUrl: request.homeserver_url,
    accessToken: operator.access_token,
  });
  const worker = createMatrixClient({
    homeserverUrl: request.homeserver_url,
    accessToken: machine.access_token,
  });
  const rooms = await ensureBureauRooms(admin, worker, operator, machineId, count);
  const subject = stateKey(machineId);
  count(
    await worker.putState(rooms[`${operator.fleet}/machine`]!, EventType.machineKey, subject, {
      algorithm: "age-x25519",
      public_key: request.machine_public_key,
    }) !== null,
  );
  for (const [name, template] of Object.entries(builtinTemplates)) {
    const room = rooms[`${operator.namespace}/template`]!;
    count(await admin.putState(room, EventType.template, name, { ...template }) !== null);
  }
  return { server_name: server, operator: operator.user_id, machine: machineId, rooms, changes };
};

/** The one network address that the CLI may reach from here on. */
export async function writeHomeserver(dir: string, homeserverUrl: string): Promise<boolean> {
  const url = new URL(homeserverUrl);
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return await writeIfDifferent(`${dir}/homeserver`, `${url.hostname}:${port}`, 0o644);
}

function registrationOf(request: BootRequest): Registration {
  if (request.registration_shared_secret !== undefined) {
    return { kind: "shared", value: request.registration_shared_secret };
  }
  if (request.registration_token !== undefined) {
    return { kind: "token", value: request.registration_token };
  }
  throw new CliError("usage", "Cannot boot: a registration secret or token is needed");
}

export function randomPassword(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

/** A session that the homeserver still knows, or null. */
export async function alive(homeserverUrl: string, accessToken: string): Promise<boolean> {
  try {
    await createMatrixClient({ homeserverUrl, accessToken }).whoami();
    return true;
  } catch (thrown) {
    if (thrown instanceof MessagingError && thrown.isAccountLost) return false;
    throw thrown;
  }
}

export async function operatorSession(
  dir: string,
  request: Pick<
    BootRequest,
    "version" | "homeserver_url" | "namespace" | "fleet" | "machine" | "operator"
  >,
  registration: Registration,
): Promise<OperatorSession> {
  const path = `${dir}/session.json`;
  const known = z.safeParse(OperatorSession, await readJson(path));
  const fleet = `${request.namespace}/fleet/${request.fleet}`;
  const names = {
    namespace: parseLocalpart(request.namespace),
    fleet,
    machine: parseLocalpart(`${fleet}/machine/${request.machine}`),
  };
  if (
    known.success && known.data.homeserver_url === request.homeserver_url &&
    known.data.access_token !== ""
  ) {
    if (await alive(request.homeserver_url, known.data.access_token)) {
      const session = { ...known.data, ...names };
      await writeIfDifferent(path, JSON.stringify(session));
      return session;
    }
  }
  const password = known.data?.password ?? randomPassword();
  const pending = {
    version: 1 as const,
    homeserver_url: request.homeserver_url,
    user_id: "",
    access_token: "",
    password,
    server_name: "",
    ...names,
  };
  // The password is on disk before the account exists: a crash in between locks nobody out.
  await writeIfDifferent(path, JSON.stringify(pending));
  const session = await ensureAccount({
    homeserverUrl: request.homeserver_url,
    registration,
    user: request.operator,
    password,
    admin: true,
  });
  const complete = {
    ...pending,
    user_id: session.user_id,
    access_token: session.access_token,
    server_name: parseUserId(session.user_id).server,
  };
  await writeIfDifferent(path, JSON.stringify(complete));
  return complete;
}

/** The daemon's bootstrap document, kept for `up` to hand over. */
async function machineSession(
  dir: string,
  request: BootRequest,
  registration: Registration,
  operator: OperatorSession,
): Promise<DaemonBootstrap> {
  const path = `${dir}/machine-session.json`;
  const passwordPath = `${dir}/machine-account.json`;
  const known = z.safeParse(DaemonBootstrap, await readJson(path));
  const account = await readJson(passwordPath) as { password?: string } | null;
  const password = account?.password ?? randomPassword();
  await writeIfDifferent(passwordPath, JSON.stringify({ password }));
  let token = known.success && known.data.homeserver_url === request.homeserver_url
    ? known.data.access_token
    : "";
  if (token === "" || !await alive(request.homeserver_url, token)) {
    const session = await ensureAccount({
      homeserverUrl: request.homeserver_url,
      registration,
      user: operator.machine,
      password,
    });
    token = session.access_token;
  }
  const document: DaemonBootstrap = {
    version: 1,
    homeserver_url: request.homeserver_url,
    user_id: userId(operator.machine, operator.server_name),
    access_token: token,
    server_name: operator.server_name,
    namespace: operator.namespace,
    fleet: operator.fleet,
    admins: [operator.user_id],
    run_dir: request.run_dir,
    state_dir: `${request.state_dir}/daemon`,
    launcher_socket: `${request.run_dir}/launcher/launcher.sock`,
  };
  await writeIfDifferent(path, JSON.stringify(document));
  return document;
}

export async function signingKey(dir: string): Promise<SigningKey> {
  const path = `${dir}/signing-key.json`;
  const known = await readJson(path);
  if (known !== null) return await parseSigningKey(known);
  const key = await generateSigningKey();
  await writeIfDifferent(path, JSON.stringify(key));
  return key;
}

/** What the launcher obeys. Keys and roots that somebody added by hand stay. */
export async function writePolicy(
  dir: string,
  operatorKeys: readonly string[],
  bindRoots: LauncherPolicy["bind_roots"],
): Promise<boolean> {
  const path = `${dir}/policy.json`;
  const known = await readJson(path) as Partial<LauncherPolicy> | null;
  const roots = [...(known?.bind_roots ?? [])];
  for (const root of bindRoots) {
    if (!roots.some((one) => one.path === root.path)) roots.push(root);
  }
  const policy: LauncherPolicy = {
    ...known,
    version: 1,
    operator_keys: [...new Set([...(known?.operator_keys ?? []), ...operatorKeys])],
    bind_roots: roots,
    passthrough: known?.passthrough ?? [],
    limits: known?.limits ?? { memory_limit_mb: 4096, pids_limit: 1024 },
  };
  return await writeIfDifferent(path, JSON.stringify(policy, null, 2) + "\n", 0o644);
}
