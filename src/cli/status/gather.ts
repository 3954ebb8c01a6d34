// SPDX-License-Identifier: Apache-2.0

/** What `status` shows, from where it is known. Each source may be away without the others. */
import * as z from "zod/mini";
import type { ApprovalView } from "../../daemon/approvals/api.ts";
import type { DaemonStatus } from "../../daemon/api.ts";
import { BureauError } from "../../lib/errors.ts";
import { createClient } from "../../lib/http/mod.ts";
import { parseUserId } from "../../lib/ref/mod.ts";
import { Credentials, EventType } from "../../lib/schema/mod.ts";
import { connect, type MatrixClient } from "../../messaging/mod.ts";
import { supervisorApi, type SupervisorStatus } from "../../supervisor/api.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { readFleet } from "../machine/fleet.ts";
import {
  daemonClient,
  isUnreachable,
  loadSession,
  matrixClient,
  type OperatorSession,
} from "../session.ts";

/** A homeserver that takes longer is as good as away; the screen does not wait for it. */
const HOMESERVER_MS = 3_000;

export interface HomeserverState {
  readonly url: string;
  readonly reachable: boolean;
  readonly latency_ms: number | null;
  /** The newest version of the specification that it names. */
  readonly version: string | null;
  readonly message: string | null;
}

export interface ExpiringCredential {
  readonly principal: string;
  readonly name: string;
  /** ms epoch */
  readonly expires_at: number;
}

export interface SeenMachine {
  readonly name: string;
  /** Of its last heartbeat, ms epoch; null: none yet. */
  readonly at: number | null;
}

export interface Snapshot {
  readonly at: number;
  /** Null: none runs. */
  readonly supervisor: SupervisorStatus | null;
  /** Null: nothing answers. An error: it answers, but not with a status. */
  readonly daemon: DaemonStatus | BureauError | null;
  /** That wait; none where the caller may not see them. */
  readonly approvals: readonly ApprovalView[];
  /** Null: nobody is logged in, or everything is down. */
  readonly homeserver: HomeserverState | null;
  readonly credentials: readonly ExpiringCredential[];
  /** Others of the fleet. */
  readonly machines: readonly SeenMachine[];
  /** What could not be learned though the caller may: what is not listed above may be there. */
  readonly unread: readonly Unread[];
}

export interface Unread {
  readonly what: string;
  readonly why: BureauError;
}

export async function gather(call: Invocation): Promise<Snapshot> {
  const session = await loadSession(call).catch((thrown) => thrown as unknown);
  const known = isSession(session) ? session : null;
  const [supervisor, fromDaemon] = await Promise.all([
    supervisorStatus(call),
    known === null
      ? { daemon: refusalOf(session), approvals: [], unread: [] }
      : askDaemon(call, known),
  ]);
  const down = supervisor === null && fromDaemon.daemon === null && call.sessionFile === undefined;
  const [homeserver, rooms] = known === null || down
    ? [null, { credentials: [], machines: [], unread: [] }] as const
    : await Promise.all([askHomeserver(known), readRooms(known)]);
  // Of one that does not answer that alone is worth a line.
  const unread = [...fromDaemon.unread, ...(homeserver?.reachable === false ? [] : rooms.unread)];
  return { at: Date.now(), supervisor, ...fromDaemon, homeserver, ...rooms, unread };
}

const isSession = (value: unknown): value is OperatorSession =>
  typeof value === "object" && value !== null && "access_token" in value;

/** Where Bureau was never started there is nothing to say of the daemon. */
function refusalOf(thrown: unknown): BureauError | null {
  if (thrown instanceof CliError && thrown.code === "not-running") return null;
  if (thrown instanceof BureauError) return thrown;
  throw thrown;
}

async function supervisorStatus(call: Invocation): Promise<SupervisorStatus | null> {
  const client = createClient(supervisorApi, { socket: `${call.runDir}/up/up.sock` });
  try {
    return await client.call("status", { signal: call.signal });
  } catch (thrown) {
    if (isUnreachable(thrown)) return null;
    throw thrown;
  } finally {
    client.close();
  }
}

async function askDaemon(
  call: Invocation,
  session: OperatorSession,
): Promise<Pick<Snapshot, "daemon" | "approvals" | "unread">> {
  const client = daemonClient(call, session);
  const { signal } = call;
  try {
    const [daemon, approvals] = await Promise.all([
      client.call("status", { signal }),
      readable("which tool calls wait", client.call("approvals", { signal })),
    ]);
    return { daemon, approvals: approvals.value?.pending ?? [], unread: approvals.unread };
  } catch (thrown) {
    if (isUnreachable(thrown)) return { daemon: null, approvals: [], unread: [] };
    if (thrown instanceof BureauError) return { daemon: thrown, approvals: [], unread: [] };
    throw thrown;
  } finally {
    client.close();
  }
}

async function askHomeserver({ homeserver_url: url }: OperatorSession): Promise<HomeserverState> {
  const began = performance.now();
  try {
    const { versions } = await connect({ homeserverUrl: url }).request<{ versions?: unknown[] }>(
      "GET",
      "/_matrix/client/versions",
      { what: "ask the homeserver for its versions", timeoutMs: HOMESERVER_MS },
    );
    return {
      url,
      reachable: true,
      latency_ms: Math.round(performance.now() - began),
      version: versions?.map(String).filter((text) => /^v\d+\.\d+$/.test(text)).at(-1) ?? null,
      message: null,
    };
  } catch (thrown) {
    if (!(thrown instanceof BureauError)) throw thrown;
    return { url, reachable: false, latency_ms: null, version: null, message: thrown.message };
  }
}

/** What the caller may not see is not theirs to be told of; any other failure is. */
async function readable<T>(
  what: string,
  reading: Promise<T>,
): Promise<{ readonly value: T | null; readonly unread: readonly Unread[] }> {
  try {
    return { value: await reading, unread: [] };
  } catch (thrown) {
    if (!(thrown instanceof BureauError)) throw thrown;
    return { value: null, unread: thrown.status === 403 ? [] : [{ what, why: thrown }] };
  }
}

/** Of rooms that the caller is in; others are nobody's but their members'. */
async function readRooms(
  session: OperatorSession,
): Promise<Pick<Snapshot, "credentials" | "machines" | "unread">> {
  const client = matrixClient(session);
  const [credentials, machines] = await Promise.all([
    readable("which credentials expire", expiring(client, session)),
    readable("which machines were seen", others(client, session)),
  ]);
  return {
    credentials: credentials.value ?? [],
    machines: machines.value ?? [],
    unread: [...credentials.unread, ...machines.unread],
  };
}

async function expiring(
  client: MatrixClient,
  session: OperatorSession,
): Promise<ExpiringCredential[]> {
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  if (room === null) return [];
  return (await client.roomState(room))
    .filter(({ type }) => type === EventType.credentials)
    .map(({ content }) => z.safeParse(Credentials, content))
    .flatMap((parsed) => parsed.success ? [parsed.data] : [])
    .flatMap(({ principal, keys, parts }) =>
      keys.flatMap((name) => {
        const expires_at = parts?.[name]?.expires_at;
        return expires_at === undefined
          ? []
          : [{ principal: parseUserId(principal).localpart, name, expires_at }];
      })
    );
}

async function others(client: MatrixClient, session: OperatorSession): Promise<SeenMachine[]> {
  return (await readFleet(client, session))
    .filter(({ here, membership, revoked }) => !here && membership === "join" && revoked === null)
    .map(({ name, status }) => ({ name, at: status?.at ?? null }));
}
