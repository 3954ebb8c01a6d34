// SPDX-License-Identifier: Apache-2.0

/** Changes to an assignment, which the operator signs anew. */
import { canonicalJson } from "../lib/canonical/mod.ts";
import { stateKey } from "../lib/ref/mod.ts";
import { type Assignment, EventType, parseEvent } from "../lib/schema/mod.ts";
import { signContent, verifyContent } from "../lib/signature/mod.ts";
import type { Invocation } from "./framework/command.ts";
import { CliError } from "./framework/exit.ts";
import { whereAssigned } from "./machine/target.ts";
import { loadSigningKey, matrixClient, type OperatorSession } from "./session.ts";

/**
 * Signs the assignment anew with the change in it, on whichever machine of the fleet it stands. Only what carries the operator's own signature is taken
 * as it is: else whoever can write there could have anything signed along.
 * @param edit gives the fields that change; an undefined one is taken out
 * @returns whether anything changed
 */
export async function editAssignment(
  call: Invocation,
  given: OperatorSession,
  localpart: string,
  edit: (assignment: Assignment) => Partial<Assignment>,
): Promise<boolean> {
  const client = matrixClient(given);
  const session = await whereAssigned(client, given, localpart);
  const key = await loadSigningKey(call);
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  const subject = stateKey(localpart, session.server_name);
  const present = room === null ? null : await client.getState(room, EventType.assignment, subject);
  const assignment = present === null ? null : parseEvent(EventType.assignment, present);
  if (room === null || assignment === null || assignment.desired === "absent") {
    throw new CliError(
      "no-such-agent",
      `Cannot change "${localpart}": no machine of the fleet has it`,
      { status: 404, hint: "`bureau agent list` and `bureau machine show` say what is" },
    );
  }
  try {
    await verifyContent(present!, [key.publicKey]);
  } catch (cause) {
    throw new CliError(
      "foreign-assignment",
      `Cannot change "${localpart}": its assignment is not as you signed it`,
      { cause, status: 409, hint: "look at it, then write it anew: bureau agent create" },
    );
  }
  const { signature: _, ...before } = present!;
  const merged: Record<string, unknown> = { ...before, ...edit(assignment) };
  const after = Object.fromEntries(
    Object.entries(merged).filter(([, value]) => value !== undefined),
  );
  if (canonicalJson(after) === canonicalJson(before)) return false;
  const signed = await signContent({
    ...after,
    issued_by: session.user_id,
    // Never older than what a launcher has seen, whatever this clock says.
    issued_at: Math.max(Date.now(), assignment.issued_at + 1),
  }, key);
  await client.putState(room, EventType.assignment, subject, { ...signed });
  return true;
}
