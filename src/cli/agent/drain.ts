// SPDX-License-Identifier: Apache-2.0

/** `agent drain` and `agent start`: stopped in good order, and started again; both stay so over restarts. */
import { BureauError } from "../../lib/errors.ts";
import { stateKey, userId } from "../../lib/ref/mod.ts";
import { EventType, parseEvent } from "../../lib/schema/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { editAssignment } from "../assignment.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import { waitUntilStopped } from "../machine/cordon.ts";
import { loadSession, matrixClient, type OperatorSession, principalOf } from "../session.ts";
import { shortName } from "./list.ts";
import type * as results from "./results.ts";

const MAX_GRACE_S = 600;
/** What the machine needs beside the grace to say that it is over. */
const REPORT_MS = 30_000;

export const drain: CommandHandler<typeof results.drain> = async (call) => {
  const grace = Number(call.flags["grace"]);
  if (!(Number.isInteger(grace) && grace >= 0 && grace <= MAX_GRACE_S)) {
    throw new CliError("usage", `Cannot drain: --grace takes 0 to ${MAX_GRACE_S} seconds`);
  }
  const { session, client, room, names } = await chosen(call);
  const failed: { principal: string; message: string }[] = [];
  const asked: string[] = [];
  for (const localpart of names) {
    try {
      await editAssignment(
        call,
        session,
        localpart,
        (now) => now.desired === "running" ? { desired: "stopped", stop_grace_seconds: grace } : {},
      );
      asked.push(localpart);
    } catch (thrown) {
      // One agent's trouble does not keep the others where they are.
      if (!(thrown instanceof BureauError) || names.length === 1) throw thrown;
      failed.push({ principal: localpart, message: thrown.message });
    }
  }
  const users = asked.map((localpart) => userId(localpart, session.server_name));
  const timeoutMs = grace * 1_000 + REPORT_MS;
  using _ = call.progress?.(`waiting until ${asked.map(shortName).join(", ")} stopped`);
  const left = await waitUntilStopped(client, room, users, timeoutMs, call.signal);
  const going = asked.filter((one) => left.includes(userId(one, session.server_name)));
  const stopped = asked.filter((one) => !going.includes(one));
  call.print(`stopped: ${stopped.map(shortName).join(", ") || "none"}`);
  if (going.length > 0) call.print(`not known to have stopped: ${going.map(shortName).join(", ")}`);
  for (const { principal, message } of failed) call.print(`${shortName(principal)}: ${message}`);
  const result = { stopped, still_running: going, failed };
  return going.length + failed.length === 0 ? result : new Ended(result, Exit.failed);
};

export const start: CommandHandler<typeof results.start> = async (call) => {
  const session = await loadSession(call);
  const localpart = principalOf(session, call.args[0]!);
  const changed = await editAssignment(
    call,
    session,
    localpart,
    () => ({ desired: "running", stop_grace_seconds: undefined }),
  );
  call.print(
    changed ? `${localpart} is to run` : `${localpart} is to run already; nothing changed`,
  );
  return { principal: localpart, changed };
};

async function chosen(call: Invocation): Promise<{
  readonly session: OperatorSession;
  readonly client: MatrixClient;
  readonly room: string;
  readonly names: readonly string[];
}> {
  const session = await loadSession(call);
  const client = matrixClient(session);
  const all = call.flags["all"] === true;
  const name = call.args[0];
  if (all === (name !== undefined)) {
    throw new CliError("usage", "Cannot drain: give one agent's name, or --all");
  }
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  if (room === null) {
    throw new CliError("no-such-room", `Cannot find the room of "${session.machine}"`, {
      status: 404,
      hint: "run `deno task up`, which makes the rooms",
    });
  }
  if (name !== undefined) return { session, client, room, names: [principalOf(session, name)] };
  const names = (await client.roomState(room)).flatMap(({ type, state_key: key, content }) => {
    if (type !== EventType.assignment) return [];
    try {
      const assignment = parseEvent(EventType.assignment, content);
      const localpart = key.slice(0, key.lastIndexOf(":"));
      const isMeant = assignment?.desired === "running" &&
        key === stateKey(userId(localpart, session.server_name));
      return isMeant ? [localpart] : [];
    } catch {
      // Nobody's to sign anew.
      return [];
    }
  });
  return { session, client, room, names };
}
