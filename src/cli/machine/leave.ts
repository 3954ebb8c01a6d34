// SPDX-License-Identifier: Apache-2.0

/** `machine decommission`: a machine leaves in good order. `machine revoke`: it is distrusted at once. */
import { parseStateKey, stateKey } from "../../lib/ref/mod.ts";
import { type CredentialRevocation, Credentials, EventType } from "../../lib/schema/mod.ts";
import { signContent } from "../../lib/signature/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { endSessions } from "../agent/destroy.ts";
import type { Destroyer, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import { loadSession, loadSigningKey, matrixClient, type OperatorSession } from "../session.ts";
import { attempt, type Failure, short, waitUntilStopped } from "./cordon.ts";
import { findMachine, type Machine, machineRoom } from "./fleet.ts";
import { removeRecord } from "./record.ts";
import { deactivateAccount, putOut } from "./remove.ts";
import type * as results from "./results.ts";

/** What an operator is told before, and after. */
interface Holdings {
  readonly principals: readonly string[];
  /** `<principal> <name>`. */
  readonly credentials: readonly string[];
}

interface Leaving {
  readonly session: OperatorSession;
  readonly client: MatrixClient;
  readonly machine: Machine;
  readonly holdings: Holdings;
}

async function leaving(call: Invocation): Promise<Leaving> {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const machine = await findMachine(client, session, call.args[0]!);
  if (machine.here) {
    throw new CliError("this-machine", `Cannot take "${machine.name}" out: you are on it`, {
      status: 409,
      hint: "it holds the operator's session; `deno task down` stops it",
    });
  }
  return { session, client, machine, holdings: await holdingsOf(client, machine) };
}

async function holdingsOf(client: MatrixClient, machine: Machine): Promise<Holdings> {
  const credentials: string[] = [];
  const state = machine.room === null ? [] : await client.roomState(machine.room);
  for (const { type, state_key, content } of state) {
    const parsed = type === EventType.credentials ? Credentials.safeParse(content) : null;
    if (parsed?.success !== true) continue;
    for (const name of parsed.data.keys) credentials.push(`@${state_key} ${name}`);
  }
  return {
    principals: machine.principals.map(({ principal }) => principal),
    credentials: credentials.sort(),
  };
}

const named = (credential: string): string => {
  const [principal, name] = credential.split(" ");
  return `${name} of ${short(principal!)}`;
};

function linesOf({ machine, holdings }: Leaving): string[] {
  const list = (words: readonly string[]) => words.join(", ") || "none";
  return [
    `assignments taken away: ${list(holdings.principals.map(short))}`,
    `credentials cleared:    ${list(holdings.credentials.map(named))}`,
    `account ended:          ${machine.user_id}, with its key and its rights in rooms`,
  ];
}

/** Signed removals, then its sessions: a copy of an access token on that machine opens nothing any more. */
async function takeAssignments(
  call: Invocation,
  { session, client, machine }: Leaving,
  failed: Failure[],
): Promise<void> {
  const { room } = machine;
  if (room === null) return;
  const key = await loadSigningKey(call);
  const subjects = new Set<string>();
  for (const { type, state_key, content } of await client.roomState(room)) {
    if (Object.keys(content).length === 0) continue;
    if (type === EventType.credentials) subjects.add(state_key);
    if (type !== EventType.assignment) continue;
    subjects.add(state_key);
    if (content["desired"] === "absent") continue;
    const { signature: _, ...rest } = content;
    const signed = await signContent({
      ...rest,
      desired: "absent" as const,
      issued_by: session.user_id,
      issued_at: Math.max(Date.now(), Number(content["issued_at"] ?? 0) + 1),
    }, key);
    await client.putState(room, EventType.assignment, state_key, { ...signed });
  }
  for (const subject of subjects) {
    await attempt(`@${subject}`, failed, async () => {
      await endSessions(call, session, parseStateKey(subject).localpart);
    });
  }
}

/** Of a machine that is gone: what it was sealed, and what it was to do. */
const CLEARED: ReadonlySet<string> = new Set([
  EventType.credentials,
  EventType.machineCordon,
  EventType.bureauVersion,
]);

async function clearCredentials({ client, machine }: Leaving): Promise<void> {
  const { room } = machine;
  if (room === null) return;
  for (const { type, state_key, content } of await client.roomState(room)) {
    if (!CLEARED.has(type) || Object.keys(content).length === 0) continue;
    await client.putState(room, type, state_key, {});
  }
}

export const decommission: Destroyer<typeof results.decommission> = async (call) => {
  const leave = await leaving(call);
  return {
    what: `decommission "${leave.machine.name}"`,
    lines: linesOf(leave),
    run: () => takeOut(call, leave),
  };
};

async function takeOut(call: Invocation, leave: Leaving) {
  const { client, session, machine, holdings } = leave;
  using _ = call.progress?.(`taking ${machine.name} out, when what it runs has stopped`);
  const failed: Failure[] = [];
  await takeAssignments(call, leave, failed);
  const seconds = Number(call.flags["timeout"]);
  const joined = machine.membership === "join" && machine.room !== null;
  const going = joined
    ? await waitUntilStopped(
      client,
      machine.room!,
      holdings.principals,
      seconds * 1000,
      call.signal,
    )
    : [];
  await clearCredentials(leave);
  await putOut(client, session, machine, "decommissioned");
  const kept = await deactivateAccount(client, machine.user_id);
  await removeRecord(call, machine.name);
  call.print(`${machine.name} is out of the fleet`);
  if (going.length > 0) {
    call.print(`it did not say that these have stopped: ${going.map(short).join(", ")}`);
  }
  sayKept(call, kept);
  sayFailed(call, failed);
  const result = {
    machine: machine.user_id,
    ...holdings,
    not_seen_to_stop: going,
    account_deactivated: kept === null,
    failed,
  };
  return kept === null && failed.length === 0 ? result : new Ended(result, Exit.failed);
}

function sayKept(call: Invocation, kept: string | null): void {
  if (kept === null) return;
  call.print(`its account is in no room any more, but can still log in: ${kept}`);
  call.print("  have the homeserver's administrator deactivate it");
}

function sayFailed(call: Invocation, failed: readonly Failure[]): void {
  for (const { principal, message } of failed) call.print(`${short(principal)}: ${message}`);
}

export const revoke: Destroyer<typeof results.revoke> = async (call) => {
  const leave = await leaving(call);
  return {
    what: `revoke "${leave.machine.name}"`,
    lines: linesOf(leave),
    run: () => distrust(call, leave),
  };
};

async function distrust(call: Invocation, leave: Leaving) {
  const { client, session, machine, holdings } = leave;
  // What takes its power first: whoever holds the machine acts meanwhile.
  const kept = await deactivateAccount(client, machine.user_id);
  const reason = call.flags["reason"] as string | undefined;
  const content: CredentialRevocation = {
    version: 1,
    machine: machine.localpart,
    machine_user_id: machine.user_id,
    principals: [...holdings.principals],
    credential_keys: [...holdings.credentials],
    initiated_by: session.user_id,
    initiated_at: new Date().toISOString(),
    ...(reason === undefined ? {} : { reason }),
    account_deactivated: kept === null,
  };
  const room = await machineRoom(client, session);
  await client.putState(room, EventType.credentialRevocation, stateKey(machine.user_id), {
    ...content,
  });
  await putOut(client, session, machine, "revoked");
  const failed: Failure[] = [];
  await takeAssignments(call, leave, failed);
  await clearCredentials(leave);
  await removeRecord(call, machine.name);
  call.print(`${machine.name} is distrusted: nothing is sealed to it, and nobody believes it`);
  if (holdings.credentials.length > 0) {
    call.print("what it could read, change where it was issued:");
    for (const credential of holdings.credentials) call.print(`  ${named(credential)}`);
  }
  sayKept(call, kept);
  sayFailed(call, failed);
  const result = { ...content, failed };
  return kept === null && failed.length === 0 ? result : new Ended(result, Exit.failed);
}
