// SPDX-License-Identifier: Apache-2.0

/** `agent destroy`: a signed removal, then its sessions and its sealed credentials. */
import type * as z from "zod/mini";
import { systemClock } from "../../lib/clock.ts";
import { stateKey, userId } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { signContent } from "../../lib/signature/mod.ts";
import {
  type Content,
  createMatrixClient,
  login,
  type MatrixClient,
  MessagingError,
} from "../../messaging/mod.ts";
import { agentPassword } from "../accounts.ts";
import { shortName } from "./list.ts";
import { lookFirst } from "./work/discard.ts";
import { hasUnmerged, lookText, readRecord } from "./work/record.ts";
import { asCalled } from "../framework/called.ts";
import type { Destroyer, Invocation, Plan } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { onMachine } from "../machine/target.ts";
import {
  daemonClient,
  isUnreachable,
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  principalOf,
} from "../session.ts";
import type * as results from "./results.ts";

const GONE_MS = 20_000;
const LOOK_MS = 100;

type Gone = z.output<typeof results.destroy>;

/** Of an agent, and of a service, which goes as one. */
export async function planOf(call: Invocation): Promise<Plan<Gone> | null> {
  if (await lookFirst(call)) return null;
  const home = await loadSession(call);
  const session = onMachine(call, home);
  const localpart = principalOf(session, call.args[0]!);
  const client = matrixClient(session);
  const configRoom = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  const subject = stateKey(localpart, session.server_name);
  const present = configRoom === null
    ? null
    : await client.getState(configRoom, EventType.assignment, subject);
  if (configRoom === null || present === null || Object.keys(present).length === 0) {
    throw new CliError(
      "no-such-agent",
      `Cannot destroy "${localpart}": it is not assigned to this machine`,
      {
        status: 404,
        hint: "`bureau agent list` shows what is",
      },
    );
  }
  const record = session.machine === home.machine
    ? await readRecord(call.stateDir, localpart)
    : null;
  const unmerged = record !== null && hasUnmerged(record) ? lookText(record) : null;
  return {
    what: `destroy ${localpart}`,
    lines: [
      "its assignment, its sessions and its sealed credentials go",
      "its room and its messages stay, and so does its clone of a repository",
      ...(unmerged === null ? [] : [`not merged: ${unmerged}`]),
    ],
    run: () => remove(call, { home, session, client, configRoom, localpart, present, unmerged }),
  };
}

export const destroy: Destroyer<typeof results.destroy> = planOf;

interface Doomed {
  readonly home: OperatorSession;
  readonly session: OperatorSession;
  readonly client: MatrixClient;
  readonly configRoom: string;
  readonly localpart: string;
  /** Its assignment. */
  readonly present: Content;
  readonly unmerged: string | null;
}

async function remove(call: Invocation, doomed: Doomed): Promise<Gone> {
  const { home, session, client, configRoom, localpart, present, unmerged } = doomed;
  using _ = call.progress?.(`waiting until ${localpart} is gone`);
  const subject = stateKey(localpart, session.server_name);
  if (present["desired"] !== "absent") {
    const key = await loadSigningKey(call);
    const { signature: _, ...rest } = present;
    const signed = await signContent({
      ...rest,
      desired: "absent" as const,
      issued_by: session.user_id,
      issued_at: Math.max(Date.now(), Number(present["issued_at"] ?? 0) + 1),
    }, key);
    await client.putState(configRoom, EventType.assignment, subject, { ...signed });
  }
  const gone = session.machine === home.machine
    ? await waitUntilGone(call, session, localpart)
    : await saidToBeGone(client, configRoom, subject, call.signal);
  await endSessions(call, session, localpart);
  await client.putState(configRoom, EventType.credentials, subject, {});
  call.print(
    gone
      ? `${localpart} is gone`
      : `${localpart} is marked for removal; it goes when the daemon runs`,
  );
  if (unmerged !== null) {
    const name = shortName(localpart);
    call.print(`not merged: ${unmerged}; its clone stays`);
    call.print(
      asCalled(`\`bureau agent merge ${name}\` brings its work back, \`agent discard\` removes it`),
    );
  }
  return { principal: localpart, gone, ...(unmerged === null ? {} : { unmerged }) };
}

/** @returns false when no daemon runs that could remove it now */
async function waitUntilGone(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
): Promise<boolean> {
  const daemon = daemonClient(call, session);
  const deadline = systemClock.now() + GONE_MS;
  try {
    while (systemClock.now() < deadline) {
      const { principals } = await daemon.call("list", { signal: call.signal });
      const view = principals.find((one) => one.principal === localpart);
      if (view === undefined || view.phase === "stopped") return true;
      await systemClock.sleep(LOOK_MS, call.signal);
    }
  } catch (thrown) {
    if (isUnreachable(thrown)) return false;
    throw thrown;
  } finally {
    daemon.close();
  }
  throw new CliError("still-there", `Cannot see "${localpart}" go within ${GONE_MS / 1000} s`, {
    hint: "`bureau agent show` says what it is doing",
  });
}

/** By the word of another machine. @returns false when it says nothing: it may be off */
export async function saidToBeGone(
  client: MatrixClient,
  room: string,
  subject: string,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = systemClock.now() + GONE_MS;
  while (systemClock.now() < deadline) {
    const content = await client.getState(room, EventType.principalStatus, subject);
    const phase = content?.["phase"];
    // Never started, or cleared.
    if (phase === undefined || phase === "stopped") return true;
    await systemClock.sleep(LOOK_MS, signal);
  }
  return false;
}

/** Its access token stops working, wherever a copy may lie. */
export async function endSessions(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
): Promise<void> {
  const homeserverUrl = session.homeserver_url;
  try {
    const key = await loadSigningKey(call);
    const account = await login({ homeserverUrl }, {
      user: localpart,
      password: await agentPassword(key.privateJwk, localpart),
    });
    const client = createMatrixClient({ homeserverUrl, accessToken: account.access_token });
    await client.request("POST", "/_matrix/client/v3/logout/all", {
      what: `end the sessions of "${userId(localpart, session.server_name)}"`,
      body: {},
    });
  } catch (thrown) {
    // An account that never was, or was made by other hands, has no session of ours to end.
    if (!(thrown instanceof MessagingError) || thrown.status !== 403) throw thrown;
  }
}
