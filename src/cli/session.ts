// SPDX-License-Identifier: Apache-2.0

/** The operator's session, written by first boot and read by every command that speaks to Matrix or the daemon. */
import * as z from "zod/mini";
import { daemonApi } from "../daemon/api.ts";
import { type Client, createClient, HttpApiError } from "../lib/http/mod.ts";
import { JoinedFleet } from "../lib/provision/boot_file.ts";
import { resolvePrincipal } from "../lib/ref/mod.ts";
import { parseSigningKey, type SigningKey } from "../lib/signature/mod.ts";
import { createMatrixClient, type MatrixClient } from "../messaging/mod.ts";
import { readJson } from "./files.ts";
import type { CommandContext } from "./framework/command.ts";
import { CliError } from "./framework/exit.ts";

export const OperatorSession = z.object({
  version: z.literal(1),
  homeserver_url: z.string(),
  user_id: z.string(),
  access_token: z.string(),
  /** Of the operator's account; to log in again when the token is gone. A person's is not kept. */
  password: z.optional(z.string()),
  server_name: z.string(),
  /** Localparts. */
  namespace: z.string(),
  fleet: z.string(),
  machine: z.string(),
});
export type OperatorSession = z.infer<typeof OperatorSession>;

const operatorFile = (context: CommandContext, name: string) =>
  `${context.stateDir}/operator/${name}`;

/** Of `bureau login`, where `tasks/bureau` found that it counts; else of the operator that `up` made. */
export const sessionPath = (context: CommandContext): string =>
  context.sessionFile ?? operatorFile(context, "session.json");

/** @throws {CliError} `not-running` before first boot; `denied`, `bad-session` */
export async function loadSession(context: CommandContext): Promise<OperatorSession> {
  const session = await storedSession(sessionPath(context));
  if (session !== null) return session;
  await refuseMember(context);
  throw new CliError(
    "not-running",
    `Cannot find Bureau in "${context.stateDir}": it was never started there`,
    {
      hint:
        "start it with `deno task up`, name its directory with --state-dir, or log in to one elsewhere: `bureau login`",
    },
  );
}

/** Null: there is none. @throws {CliError} `denied`, `bad-session` */
export async function storedSession(path: string): Promise<OperatorSession | null> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    if (thrown instanceof Deno.errors.PermissionDenied) {
      throw new CliError("denied", `Cannot read "${path}": it belongs to another user`, {
        status: 403,
        hint:
          "run as the user who started Bureau, or log in with an account of your own: `bureau login`",
      });
    }
    throw thrown;
  }
  const parsed = z.safeParse(OperatorSession, jsonOf(text));
  if (!parsed.success) {
    throw new CliError("bad-session", `Cannot use "${path}": it is not a session`, {
      hint: "run `deno task up`, which mends the operator's, or `bureau login`, which writes yours",
    });
  }
  return parsed.data;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A machine that joined a fleet holds no operator's session: whoever takes it over takes no more than it. */
async function refuseMember(context: CommandContext): Promise<void> {
  const known = z.safeParse(JoinedFleet, await readJson(operatorFile(context, "joined.json")));
  if (!known.success) return;
  const { machine, admins } = known.data;
  throw new CliError(
    "no-operator",
    `Cannot do this here: "${machine}" belongs to a fleet whose operator is ${admins.join(", ")}`,
    { status: 403, hint: "run it on the operator's machine; `--machine` names another one there" },
  );
}

export function matrixClient(session: OperatorSession): MatrixClient {
  return createMatrixClient({
    homeserverUrl: session.homeserver_url,
    accessToken: session.access_token,
  });
}

export function daemonClient(
  context: CommandContext,
  session: OperatorSession,
): Client<typeof daemonApi> {
  return createClient(daemonApi, {
    socket: `${context.runDir}/daemon/daemon.sock`,
    token: session.access_token,
    peer: "Bureau daemon",
  });
}

/** @throws {CliError} `no-signing-key`; `not-operator` for somebody who logged in */
export async function loadSigningKey(context: CommandContext): Promise<SigningKey> {
  await refuseOthers(context);
  const path = operatorFile(context, "signing-key.json");
  try {
    return await parseSigningKey(JSON.parse(await Deno.readTextFile(path)));
  } catch (thrown) {
    throw new CliError("no-signing-key", `Cannot read the operator's signing key "${path}"`, {
      cause: thrown,
      hint: "run `deno task up`, which makes one",
    });
  }
}

/** What the operator's key signs is the operator's word: nobody else's session goes with it. */
async function refuseOthers(context: CommandContext): Promise<void> {
  if (context.sessionFile === undefined) return;
  const { user_id } = await loadSession(context);
  const operator = await storedSession(operatorFile(context, "session.json")).catch(() => null);
  if (operator?.user_id === user_id) return;
  throw new CliError(
    "not-operator",
    `Cannot do this as ${user_id}: it takes the operator's signing key`,
    {
      status: 403,
      hint: operator === null
        ? "run it as the operator, on the operator's machine"
        : "as the operator: BUREAU_SESSION=operator before the command, or `bureau logout` first",
    },
  );
}

/** Full localpart of what a person typed: `scribe` means `agent/scribe`. */
export function principalOf(session: OperatorSession, text: string): string {
  const account = text.includes("/") || text.startsWith("@") ? text : `agent/${text}`;
  return resolvePrincipal(account, session.fleet, session.server_name);
}

/** A room id for an agent's name, an alias or an id. @throws {CliError} `no-such-room` */
export async function roomOf(
  client: MatrixClient,
  session: OperatorSession,
  text: string,
): Promise<string> {
  if (text.startsWith("!")) return text;
  const alias = text.startsWith("#")
    ? text.includes(":") ? text : `${text}:${session.server_name}`
    : `#${principalOf(session, text)}:${session.server_name}`;
  const id = await client.resolveAlias(alias);
  if (id !== null) return id;
  throw new CliError("no-such-room", `Cannot find the room "${alias}": no such alias`, {
    status: 404,
    hint: "`bureau agent list` shows the agents; each has a room of its name",
  });
}

export const isUnreachable = (thrown: unknown): boolean =>
  thrown instanceof HttpApiError && thrown.code === "unreachable";
