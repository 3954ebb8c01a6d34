// SPDX-License-Identifier: Apache-2.0

/**
 * `agent create`: account, room, workspace, sealed credentials, signed assignment. Every step looks
 * before it writes: repeating the command changes only what differs.
 */
import * as z from "zod/mini";
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { stateKey, type TemplateRef, userId } from "../../lib/ref/mod.ts";
import {
  agentPowerLevels,
  type Assignment,
  type CredentialPart,
  Credentials,
  EventType,
  parseEvent,
  type Template,
} from "../../lib/schema/mod.ts";
import { signContent, type SigningKey, verifyContent } from "../../lib/signature/mod.ts";
import { instantiate, resolveTemplate, templateDigest } from "../../lib/template/mod.ts";
import {
  type Content,
  createMatrixClient,
  type MatrixClient,
  type Session,
} from "../../messaging/mod.ts";
import { agentAccount } from "./account.ts";
import { waitedLines, waitForWord } from "./ask/wait.ts";
import { CredentialStore } from "../credential/store.ts";
import { asCalled } from "../framework/called.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { refuseCordoned } from "../machine/cordon.ts";
import { findMachine } from "../machine/fleet.ts";
import { onMachine, refuseElsewhere } from "../machine/target.ts";
import { ensureMember, ensureRoom } from "../rooms.ts";
import {
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  principalOf,
} from "../session.ts";
import { preview } from "./preview.ts";
import { requirePrograms } from "./programs.ts";
import { unboundRoles } from "./roles.ts";
import { type CreateAgentRequest, overridesOf, readRequest } from "./request.ts";
import { prepareHome, prepareWorkspace } from "./workspace.ts";
import { ownOf } from "./work/own.ts";
import type * as results from "./results.ts";

export const create: CommandHandler<typeof results.create> = async (call) => {
  const home = await loadSession(call);
  const key = await loadSigningKey(call);
  const session = onMachine(call, home);
  const request = await readRequest(call, session.namespace);
  const localpart = principalOf(session, call.args[0]!);
  const client = matrixClient(session);
  const isHere = session.machine === home.machine;
  if (!isHere) await findMachine(client, session, session.machine);
  await refuseElsewhere(client, session, localpart);
  await refuseCordoned(client, session, localpart);
  const template = await fetchTemplate(
    client,
    session,
    request.template,
    request.extra_inherits ?? [],
  );
  const configRoom = await aliasRoom(client, session, session.machine);

  const sealed = await client.getState(
    configRoom,
    EventType.credentials,
    stateKey(localpart, session.server_name),
  );
  const known = z.safeParse(Credentials, sealed ?? {});
  const required = template.required_credentials ?? [];
  const keep = request.credentials === null && known.success;
  const given = Object.keys(request.credentials ?? {});
  const missing = required.filter((name) => !(keep ? known.data.keys : given).includes(name));
  if (missing.length > 0) {
    throw new CliError(
      "no-credentials",
      `Cannot create "${localpart}": credentials are missing: ${missing.join(", ")}`,
      {
        hint: "give them with --credentials FILE",
      },
    );
  }

  const assigned = await client.getState(
    configRoom,
    EventType.assignment,
    stateKey(localpart, session.server_name),
  );
  const inUse = (assigned as Partial<Assignment> | null)?.variables?.["WORKSPACE"];
  if (call.flags["dry-run"] === true) {
    const credentials = keep ? known.data.keys : given;
    return preview(call, session, localpart, { request, assigned, credentials });
  }
  const variables = isHere
    ? await variablesFor(call, session, localpart, request, template, inUse)
    : remoteVariables(session, request, template);
  // Says now what the launcher would say later, while somebody reads it.
  instantiate(template, {
    variables,
    ...overridesOf(request),
  });
  const since = Date.now();
  using progress = call.progress?.(`${localpart} gets its account and its room`);
  const room = await ensureRoom(client, session.server_name, session.user_id, {
    alias: localpart,
    name: call.args[0]!,
    topic: template.description ?? "",
    powerLevels: agentPowerLevels([session.user_id], stateTypesOf(template)),
  });
  if (!keep) {
    const account = await agentAccount(call, session, key, localpart);
    await ensureMember(client, room.id, account.user_id, agentClient(session, account));
    const before = known.success ? known.data.parts ?? {} : {};
    await seal(call, client, session, key, localpart, account, request, before);
  }
  const changed = await assign(client, session, key, configRoom, {
    localpart,
    room: room.id,
    template,
    request,
    variables,
  });
  call.print(
    changed
      ? `${localpart} is assigned to ${session.machine}`
      : `${localpart} is assigned already; nothing changed`,
  );
  const roles = request.required_services_override ?? template.required_services ?? [];
  const unbound = await unboundRoles(client, session, roles, [room.id, configRoom]);
  for (const role of unbound) {
    call.print(
      asCalled(
        `it waits for the role ${role}, which no service fills: bureau service bind ${role} NAME`,
      ),
    );
  }
  progress?.say(`waiting for the first word of ${localpart}`);
  const waited = call.flags["wait"] === true
    ? await waitForWord(call, session, client, { localpart, room: room.id, since })
    : null;
  if (waited !== null) { for (const line of waitedLines(call.args[0]!, waited)) call.print(line); }
  return {
    principal: localpart,
    user_id: userId(localpart, session.server_name),
    room: room.id,
    changed,
    ...(waited === null ? {} : { waited }),
    ...(unbound.length === 0 ? {} : { unbound_roles: unbound }),
  };
};

function agentClient(session: OperatorSession, account: Session): MatrixClient {
  return createMatrixClient({
    homeserverUrl: session.homeserver_url,
    accessToken: account.access_token,
  });
}

async function aliasRoom(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<string> {
  const id = await client.resolveAlias(`#${localpart}:${session.server_name}`);
  if (id !== null) return id;
  throw new CliError(
    "no-such-room",
    `Cannot find the room "#${localpart}:${session.server_name}"`,
    {
      status: 404,
      hint: "run `deno task up`, which makes the rooms",
    },
  );
}

export async function fetchTemplate(
  client: MatrixClient,
  session: OperatorSession,
  reference: string,
  extra: readonly string[],
): Promise<Template> {
  const fetch = async (ref: TemplateRef): Promise<Template> => {
    const room = await aliasRoom(client, session, ref.room);
    const content = await client.getState(room, EventType.template, ref.name);
    if (content === null) {
      const names = (await client.roomState(room))
        .filter((event) => event.type === EventType.template)
        .map((event) => `${ref.room}:${event.state_key}`);
      throw new CliError("no-such-template", `Cannot find the template "${ref.room}:${ref.name}"`, {
        status: 404,
        hint: `there are: ${names.join(", ") || "none"}`,
      });
    }
    return parseEvent(EventType.template, content) ?? {};
  };
  return await resolveTemplate(reference, fetch, extra);
}

async function variablesFor(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
  request: CreateAgentRequest,
  template: Template,
  inUse: string | undefined,
): Promise<Record<string, string>> {
  const variables = withHomeserver(session, request.variables);
  const text = JSON.stringify(template);
  // Where `up` puts the programs of the examples.
  if (text.includes("${AGENTS_DIR}")) variables["AGENTS_DIR"] ??= `${call.stateDir}/agents`;
  await requirePrograms(localpart, template, variables["AGENTS_DIR"]);
  if (text.includes("${AGENT_HOME}")) {
    variables["AGENT_HOME"] ??= await prepareHome(call.stateDir, localpart);
  }
  const wantsWorkspace = request.repo !== undefined || text.includes("${WORKSPACE}");
  if (wantsWorkspace && variables["WORKSPACE"] === undefined) {
    variables["WORKSPACE"] = await prepareWorkspace({
      stateDir: call.stateDir,
      localpart,
      repo: request.repo ?? null,
      writable: (template.filesystem ?? []).some((mount) =>
        mount.mode === "rw" && (mount.source ?? "").includes("${WORKSPACE}")
      ),
      keep: inUse === undefined ? [] : [inUse],
      own: ownOf(request, localpart, session.server_name, call.print),
      signal: call.signal,
    });
  }
  return variables;
}

function withHomeserver(
  session: OperatorSession,
  given: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const url = new URL(session.homeserver_url);
  const port = url.port || (url.protocol === "https:" ? 443 : 80);
  return { HOMESERVER_HOST: `${url.hostname}:${port}`, ...given };
}

/** Another machine's directories are its own: what an agent works on there is made there. */
function remoteVariables(
  session: OperatorSession,
  request: CreateAgentRequest,
  template: Template,
): Record<string, string> {
  const variables = withHomeserver(session, request.variables);
  const wants = JSON.stringify(template).includes("${WORKSPACE}");
  if (request.repo === undefined && (!wants || variables["WORKSPACE"] !== undefined)) {
    return variables;
  }
  throw new CliError("usage", `Cannot make a workspace on "${session.machine}" from here`, {
    hint: "clone the repository there, below its state directory's workspaces/, and name that: " +
      "--var WORKSPACE=PATH",
  });
}

/** State types that the template grants, which its room must let it write. */
export function stateTypesOf(template: Template): string[] {
  const prefix = "matrix/state/";
  return (template.authorization?.grants ?? [])
    .flatMap((grant) => grant.actions)
    .filter((action) => action.startsWith(prefix) && !action.includes("*"))
    .map((action) => action.slice(prefix.length));
}

async function seal(
  call: Invocation,
  client: MatrixClient,
  session: OperatorSession,
  key: SigningKey,
  localpart: string,
  account: Session,
  request: CreateAgentRequest,
  before: Readonly<Record<string, CredentialPart>>,
): Promise<void> {
  const store = new CredentialStore(client, session, key);
  const recipients = await store.recipients(call);
  const parts: Record<string, CredentialPart> = {};
  for (const [name, credential] of Object.entries(request.credentials ?? {})) {
    const previous = before[name];
    parts[name] = await store.part(localpart, name, credential, recipients, {
      expiresAt: credential.expires_at,
      previous,
    });
  }
  await store.write(localpart, {
    encrypted_for: [...recipients.names],
    recipients: [...recipients.keys],
    keys: Object.keys(parts).sort(),
    ciphertext: await store.seal(localpart, {}, recipients, {
      homeserver_url: session.homeserver_url,
      user_id: account.user_id,
      access_token: account.access_token,
    }),
    parts,
  });
}

async function assign(
  client: MatrixClient,
  session: OperatorSession,
  key: SigningKey,
  configRoom: string,
  agent: {
    readonly localpart: string;
    readonly room: string;
    readonly template: Template;
    readonly request: CreateAgentRequest;
    readonly variables: Record<string, string>;
  },
): Promise<boolean> {
  const { localpart, request } = agent;
  const subject = stateKey(localpart, session.server_name);
  const present = await client.getState(configRoom, EventType.assignment, subject);
  const wanted: Omit<Assignment, "signature" | "issued_at"> = {
    version: 1,
    principal: userId(localpart, session.server_name),
    machine: userId(session.machine, session.server_name),
    template: request.template,
    template_digest: await templateDigest(agent.template),
    desired: "running",
    room: agent.room,
    variables: agent.variables,
    ...overridesOf(request),
    issued_by: session.user_id,
    ...await keptDecisions(present, key),
  };
  if (present !== null) {
    const { signature, issued_at, ...rest } = present;
    const signedByUs = (signature as { key_id?: string } | undefined)?.key_id === key.keyId;
    if (signedByUs && canonicalJson(rest) === canonicalJson(wanted)) return false;
    // Never older than what a launcher has seen, whatever this clock says.
    return await put(Math.max(Date.now(), Number(issued_at ?? 0) + 1));
  }
  return await put(Date.now());

  async function put(issuedAt: number): Promise<boolean> {
    const signed = await signContent({ ...wanted, issued_at: issuedAt }, key);
    await client.putState(configRoom, EventType.assignment, subject, { ...signed });
    return true;
  }
}

/** What `bureau egress` and `bureau auth` wrote stays, as long as the operator's own signature is on it. */
async function keptDecisions(
  present: Content | null,
  key: SigningKey,
): Promise<Pick<Assignment, "egress" | "authorization">> {
  if (present === null) return {};
  try {
    await verifyContent(present, [key.publicKey]);
    const assignment = parseEvent(EventType.assignment, present);
    if (assignment === null || assignment.desired === "absent") return {};
    const { egress, authorization } = assignment;
    return {
      ...(egress === undefined ? {} : { egress }),
      ...(authorization === undefined ? {} : { authorization }),
    };
  } catch {
    return {};
  }
}
