// SPDX-License-Identifier: Apache-2.0

/** `agent discard`: an agent's work thrown away, and a new clone in its place where it is still assigned. */
import { stateKey } from "../../../lib/ref/mod.ts";
import { EventType, parseEvent } from "../../../lib/schema/mod.ts";
import type { Destroyer, Invocation } from "../../framework/command.ts";
import { CliError } from "../../framework/exit.ts";
import {
  daemonClient,
  isUnreachable,
  loadSession,
  matrixClient,
  type OperatorSession,
} from "../../session.ts";
import { ownerFor } from "../workspace.ts";
import { openView, recordFor, who } from "./look.ts";
import { cloneInto } from "./own.ts";
import { lookText, removeRecord, type WorkRecord } from "./record.ts";
import type * as results from "../results.ts";

/** @returns undefined: the look that `tasks/bureau` asks for before a question */
export async function lookFirst(call: Invocation): Promise<boolean> {
  if (call.flags["look"] !== true) return false;
  await using _ = await openView(call);
  return true;
}

export const discard: Destroyer<typeof results.discard> = async (call) => {
  if (await lookFirst(call)) return null;
  const record = await recordFor(call);
  const session = await loadSession(call);
  const isAssigned = await mustNotRun(call, session, record);
  return {
    what: `discard all that ${who(record)} did in ${record.workspace}`,
    lines: [
      lookText(record),
      isAssigned ? "it gets a new clone" : "its clone goes; its room and its messages stay",
    ],
    run: () => replace(call, record, isAssigned),
  };
};

async function replace(call: Invocation, record: WorkRecord, isAssigned: boolean) {
  const { principal, workspace, source, branch, from, identity } = record;
  await makeRemovable(workspace);
  await Deno.remove(workspace, { recursive: true }).catch((thrown) => {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  });
  if (!isAssigned) {
    await removeRecord(call.stateDir, principal);
    // Holds more only where it had other workspaces too.
    await Deno.remove(workspace.replace(/\/[^/]+$/, "")).catch(() => {});
    call.print(`the clone of ${who(record)} is gone`);
    return { principal, removed: workspace, fresh: false };
  }
  await cloneInto(
    {
      stateDir: call.stateDir,
      localpart: principal,
      repo: source,
      writable: true,
      keep: [],
      signal: call.signal,
      own: { identity, say: call.print, ...(from === null ? {} : { from }) },
    },
    workspace,
    source,
    branch,
    ownerFor(await Deno.stat(`${call.stateDir}/workspaces`)),
  );
  return { principal, removed: workspace, fresh: true };
}

/** @returns whether it is assigned, and has to have a clone when it starts again */
async function mustNotRun(
  call: Invocation,
  session: OperatorSession,
  record: WorkRecord,
): Promise<boolean> {
  const client = matrixClient(session);
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  const key = stateKey(record.principal, session.server_name);
  const present = room === null ? null : await client.getState(room, EventType.assignment, key);
  const assignment = present === null ? null : parseEvent(EventType.assignment, present);
  if (assignment?.desired === "running" || await runsStill(call, session, record.principal)) {
    throw new CliError("running", `Cannot discard the work of "${who(record)}": it works on it`, {
      status: 409,
      hint: `stop it first: bureau agent drain ${who(record)}`,
    });
  }
  return assignment?.desired === "stopped";
}

async function runsStill(
  call: Invocation,
  session: OperatorSession,
  principal: string,
): Promise<boolean> {
  const daemon = daemonClient(call, session);
  try {
    const { principals } = await daemon.call("list", { signal: call.signal });
    const view = principals.find((one) => one.principal === principal);
    return view !== undefined && view.phase !== "stopped" && view.phase !== "exited";
  } catch (thrown) {
    // No daemon: the assignment has said that it is not to run.
    if (isUnreachable(thrown)) return false;
    throw thrown;
  } finally {
    daemon.close();
  }
}

/** An agent may have taken from directories what their owner needs to empty them. No link is followed. */
async function makeRemovable(dir: string): Promise<void> {
  const info = await Deno.lstat(dir).catch(() => null);
  if (info === null || !info.isDirectory) return;
  if (((info.mode ?? 0) & 0o700) !== 0o700) await Deno.chmod(dir, 0o700);
  for await (const entry of Deno.readDir(dir)) {
    if (entry.isDirectory) await makeRemovable(`${dir}/${entry.name}`);
  }
}
