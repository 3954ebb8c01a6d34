// SPDX-License-Identifier: Apache-2.0

/**
 * `matrix setup`: the operator's account, the space, the rooms with their power levels, and the built-in
 * templates, on a homeserver that has none of them or lacks some. Looks before it writes.
 */
import { parseLocalpart, userId } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { builtinTemplates } from "../../lib/template/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import type { Registration } from "../boot/api.ts";
import { operatorSession, signingKey, writeHomeserver } from "../boot/boot.ts";
import { ensureBureauRooms } from "../bureau_rooms.ts";
import { readJson, readText, writeIfDifferent } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { readFleet } from "../machine/fleet.ts";
import { loadSession, matrixClient, type OperatorSession } from "../session.ts";
import type * as results from "./results.ts";

/** As `up` calls them. */
const NAMES = { namespace: "bureau", fleet: "dev", operator: "operator" } as const;

export const setup: CommandHandler<typeof results.setup> = async (call) => {
  using _ = call.progress?.("looking at rooms, and making those that are missing");
  const changed: string[] = [];
  const session = call.flags["homeserver"] === undefined
    ? await loadSession(call)
    : await openSession(call, String(call.flags["homeserver"]), changed);
  const client = matrixClient(session);
  let rooms: Record<string, string> = {};
  for (const machine of await machinesOf(client, session)) {
    const names = machine === null ? session : { ...session, machine };
    const user = machine === null ? null : userId(machine, session.server_name);
    rooms = {
      ...rooms,
      ...await ensureBureauRooms(client, null, names, user, (one, alias) => {
        if (one) changed.push(alias);
      }),
    };
  }
  for (const [name, template] of Object.entries(builtinTemplates)) {
    const room = rooms[`${session.namespace}/template`]!;
    // What an operator made of it stays: `template update` says what is behind.
    if (await client.getState(room, EventType.template, name) !== null) continue;
    await client.putState(room, EventType.template, name, { ...template });
    changed.push(`${session.namespace}/template:${name}`);
  }
  const unique = [...new Set(changed)];
  call.print(
    unique.length === 0
      ? `${session.homeserver_url} has everything already; nothing changed`
      : `${session.homeserver_url}: made or mended ${unique.join(", ")}`,
  );
  return {
    homeserver_url: session.homeserver_url,
    operator: session.user_id,
    changed: unique,
    rooms,
  };
};

/** Localparts; null where there is none yet: its rooms wait for it. */
async function machinesOf(
  client: MatrixClient,
  session: OperatorSession,
): Promise<(OperatorSession["machine"] | null)[]> {
  const alias = `#${session.fleet}/machine:${session.server_name}`;
  if (await client.resolveAlias(alias) === null) return [null];
  const fleet = (await readFleet(client, session))
    .filter((machine) => machine.revoked === null && machine.membership !== "none");
  if (fleet.length === 0) return [null];
  return fleet.map(({ localpart }) => localpart as OperatorSession["machine"]);
}

/** @throws {CliError} `usage`, `other-homeserver` */
async function openSession(
  call: Invocation,
  text: string,
  changed: string[],
): Promise<OperatorSession> {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "") {
    throw new CliError("usage", `Cannot set up: --homeserver takes a URL, not "${text}"`);
  }
  const homeserverUrl = url.href.replace(/\/+$/, "");
  const dir = `${call.stateDir}/operator`;
  const known = await readJson(`${dir}/session.json`) as Partial<OperatorSession> | null;
  if (known?.homeserver_url !== undefined && known.homeserver_url !== homeserverUrl) {
    throw new CliError(
      "other-homeserver",
      `Cannot set up "${homeserverUrl}": this state directory belongs to ${known.homeserver_url}`,
      { status: 409, hint: "give another one with --state-dir" },
    );
  }
  const registration = await registrationOf(call, dir);
  const session = await operatorSession(dir, {
    version: 1,
    homeserver_url: homeserverUrl,
    namespace: parseLocalpart(NAMES.namespace),
    fleet: NAMES.fleet,
    // `up` gives it its own name.
    machine: known?.machine?.split("/").at(-1) ?? "unnamed",
    operator: NAMES.operator,
  }, registration);
  await writeIfDifferent(`${dir}/registration.json`, JSON.stringify(registration));
  await writeHomeserver(dir, homeserverUrl);
  await signingKey(dir);
  if (known?.user_id !== session.user_id) changed.push(session.user_id);
  return session;
}

async function registrationOf(call: Invocation, dir: string): Promise<Registration> {
  const file = call.flags["registration-token-file"];
  if (file !== undefined) {
    const value = (await readText(String(file)))?.trim();
    if (value) return { kind: "token", value };
    throw new CliError("token-file", `Cannot read a registration token from "${file}"`);
  }
  const known = await readJson(`${dir}/registration.json`) as Registration | null;
  if (known !== null) return known;
  throw new CliError("usage", "Cannot set up: the homeserver's registration token is needed", {
    hint: "give a file that holds it: --registration-token-file FILE",
  });
}
