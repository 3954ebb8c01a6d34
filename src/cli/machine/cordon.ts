// SPDX-License-Identifier: Apache-2.0

/** `machine cordon`, `uncordon` and `drain`: what a machine takes on, and when it lets go. */
import { systemClock } from "../../lib/clock.ts";
import { BureauError } from "../../lib/errors.ts";
import { parseUserId, stateKey } from "../../lib/ref/mod.ts";
import { EventType, type MachineCordon } from "../../lib/schema/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { shortName } from "../agent/list.ts";
import { editAssignment } from "../assignment.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import { loadSession, matrixClient, type OperatorSession } from "../session.ts";
import { findMachine, type Machine, readFleet } from "./fleet.ts";
import type * as results from "./results.ts";

const LOOK_MS = 200;
const MAX_WAIT_S = 3600;

export const short = (principal: string): string => shortName(parseUserId(principal).localpart);

/** The session as if it were made on that machine. */
export function sessionOn(session: OperatorSession, machine: Machine): OperatorSession {
  return { ...session, machine: machine.localpart as OperatorSession["machine"] };
}

async function found(call: Invocation) {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const machine = await findMachine(client, session, call.args[0]!);
  if (machine.room !== null) return { session, client, machine, room: machine.room };
  throw new CliError("no-such-room", `Cannot find the config room of "${machine.name}"`, {
    status: 404,
    hint: "`bureau matrix check` says what became of it",
  });
}

/** @returns whether anything changed */
async function putCordon(
  client: MatrixClient,
  session: OperatorSession,
  machine: Machine,
  room: string,
  change: { readonly reason?: string | undefined; readonly stopped?: readonly string[] },
): Promise<boolean> {
  const { cordon } = machine;
  const stopped = [...new Set([...(cordon?.stopped ?? []), ...(change.stopped ?? [])])].sort();
  const reason = change.reason ?? cordon?.reason;
  const content: MachineCordon = {
    version: 1,
    machine: machine.user_id,
    by: cordon?.by ?? session.user_id,
    since: cordon?.since ?? systemClock.now(),
    ...(reason === undefined ? {} : { reason }),
    ...(stopped.length === 0 ? {} : { stopped }),
  };
  const key = stateKey(machine.user_id);
  return await client.putState(room, EventType.machineCordon, key, content) !== null;
}

export const cordon: CommandHandler<typeof results.cordon> = async (call) => {
  const { session, client, machine, room } = await found(call);
  const reason = call.flags["reason"] as string | undefined;
  const changed = await putCordon(client, session, machine, room, { reason });
  call.print(
    changed
      ? `${machine.name} is cordoned: nothing new is assigned to it; what it runs goes on`
      : `${machine.name} is cordoned already`,
  );
  return { machine: machine.user_id, changed };
};

export const uncordon: CommandHandler<typeof results.uncordon> = async (call) => {
  const { session, client, machine, room } = await found(call);
  const started: string[] = [];
  const failed: Failure[] = [];
  // First, so that a crash in between leaves it to be repeated.
  for (const principal of machine.cordon?.stopped ?? []) {
    if (!machine.principals.some((one) => one.principal === principal)) continue;
    await attempt(principal, failed, async () => {
      const { localpart } = parseUserId(principal);
      const changed = await editAssignment(call, sessionOn(session, machine), localpart, (now) => ({
        desired: now.desired === "stopped" ? "running" : now.desired,
      }));
      if (changed) started.push(principal);
    });
  }
  if (failed.length === 0) {
    await client.putState(room, EventType.machineCordon, stateKey(machine.user_id), {});
  }
  call.print(
    machine.cordon === null
      ? `${machine.name} is not cordoned`
      : failed.length > 0
      ? `${machine.name} stays cordoned: not everything that was drained could be started`
      : `${machine.name} takes new work`,
  );
  if (started.length > 0) call.print(`started again: ${started.map(short).join(", ")}`);
  for (const { principal, message } of failed) call.print(`${short(principal)}: ${message}`);
  const result = { machine: machine.user_id, changed: machine.cordon !== null, started, failed };
  return failed.length === 0 ? result : new Ended(result, Exit.failed);
};

export interface Failure {
  readonly principal: string;
  readonly message: string;
}

/** One principal's trouble does not keep the others where they are. */
export async function attempt(
  principal: string,
  failed: Failure[],
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act();
  } catch (thrown) {
    if (!(thrown instanceof BureauError)) throw thrown;
    failed.push({ principal, message: thrown.message });
  }
}

export const drain: CommandHandler<typeof results.drain> = async (call) => {
  const seconds = Number(call.flags["timeout"]);
  if (!(seconds >= 0 && seconds <= MAX_WAIT_S)) {
    throw new CliError("usage", `Cannot drain: --timeout takes 0 to ${MAX_WAIT_S} seconds`);
  }
  const { session, client, machine, room } = await found(call);
  const running = machine.principals.filter(({ desired }) => desired === "running")
    .map(({ principal }) => principal);
  // Before anything stops: what stops is known to whoever uncordons, whatever happens here.
  await putCordon(client, session, machine, room, {
    reason: call.flags["reason"] as string | undefined,
    stopped: running,
  });
  const failed: Failure[] = [];
  for (const principal of running) {
    await attempt(principal, failed, async () => {
      const { localpart } = parseUserId(principal);
      await editAssignment(call, sessionOn(session, machine), localpart, (now) => ({
        desired: now.desired === "running" ? "stopped" : now.desired,
      }));
    });
  }
  const asked = running.filter((one) => !failed.some(({ principal }) => principal === one));
  using _ = call.progress?.(`waiting until what ${machine.name} runs has stopped`);
  const going = await waitUntilStopped(client, room, asked, seconds * 1000, call.signal);
  const stopped = asked.filter((one) => !going.includes(one));
  if (running.length === 0) call.print(`${machine.name} runs nothing, and is cordoned`);
  else call.print(`stopped: ${stopped.map(short).join(", ") || "none"}`);
  if (going.length > 0) {
    call.print(`not stopped within ${seconds} s: ${going.map(short).join(", ")}`);
  }
  for (const { principal, message } of failed) call.print(`${short(principal)}: ${message}`);
  const result = { machine: machine.user_id, stopped, still_running: going, failed };
  return going.length + failed.length === 0 ? result : new Ended(result, Exit.failed);
};

/** By the machine's own word. @returns whom it did not say so of in time */
export async function waitUntilStopped(
  client: MatrixClient,
  room: string,
  principals: readonly string[],
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string[]> {
  const deadline = systemClock.now() + timeoutMs;
  let left = [...principals];
  while (true) {
    const phases = await Promise.all(left.map(async (principal) => {
      const status = await client.getState(room, EventType.principalStatus, stateKey(principal));
      return status?.["phase"];
    }));
    // Without a word it never ran.
    left = left.filter((_, at) => phases[at] !== undefined && phases[at] !== "stopped");
    if (left.length === 0 || systemClock.now() >= deadline) return left;
    await systemClock.sleep(LOOK_MS, signal);
  }
}

/** Nothing new on a cordoned machine. @throws {CliError} `cordoned` */
export async function refuseCordoned(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<void> {
  const fleet = await readFleet(client, session);
  const machine = fleet.find((one) => one.localpart === session.machine);
  if (machine === undefined || machine.cordon === null) return;
  const subject = `@${stateKey(localpart, session.server_name)}`;
  if (machine.principals.some(({ principal }) => principal === subject)) return;
  const others = fleet.filter((one) =>
    one !== machine && one.cordon === null && one.key !== null && one.revoked === null
  ).map(({ name }) => name);
  const { reason } = machine.cordon;
  throw new CliError(
    "cordoned",
    `Cannot assign "${localpart}" to "${machine.name}": it is cordoned${
      reason === undefined ? "" : ` (${reason})`
    }`,
    {
      status: 409,
      hint: others.length > 0
        ? `these take new work: ${others.join(", ")} (--machine)`
        : `bureau machine uncordon ${machine.name}`,
    },
  );
}
