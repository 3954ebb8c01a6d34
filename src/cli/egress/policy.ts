// SPDX-License-Identifier: Apache-2.0

/** Changes to the egress policy of an assignment, which the operator signs anew. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { askPattern, hostPattern } from "../../lib/authority.ts";
import { stateKey } from "../../lib/ref/mod.ts";
import { type EgressPolicy, EventType, parseEvent } from "../../lib/schema/mod.ts";
import { signContent, verifyContent } from "../../lib/signature/mod.ts";
import { EGRESS_PRESETS, presetOf } from "../../lib/template/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSigningKey, matrixClient, type OperatorSession } from "../session.ts";

export type ListName = "allow" | "deny" | "ask";

export interface PolicyChange {
  readonly list: ListName;
  /** As `readEntry` gives it. */
  readonly entry: string;
  /** Take it out instead of putting it in. */
  readonly undo?: boolean;
}

/** `host`, `host:port`, `*.suffix[:port]` or `preset:<name>`, to be asked about also `*:port`; without a port it is 443. */
export function readEntry(text: string, list: ListName = "allow"): string {
  const preset = presetOf(text);
  if (preset === null) {
    throw new CliError("usage", `Cannot use "${text}": there is no such preset`, {
      hint: `there are ${Object.keys(EGRESS_PRESETS).join(", ")}`,
    });
  }
  if (preset !== undefined) return text;
  const lower = text.toLowerCase();
  for (const candidate of [lower, `${lower}:443`]) {
    const pattern = list === "ask" ? askPattern(candidate) : hostPattern(candidate);
    if (pattern !== null) return candidate;
  }
  throw new CliError("usage", `Cannot use "${text}" as a destination`, {
    hint: "host, host:port, *.host:port, an address with its port, or preset:<name>",
  });
}

/**
 * Signs the assignment anew with the change in it. Only what carries the operator's own signature is taken
 * as it is: else whoever can write there could have anything signed along.
 * @returns whether anything changed
 */
export async function changePolicy(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
  change: PolicyChange,
): Promise<boolean> {
  const client = matrixClient(session);
  const key = await loadSigningKey(call);
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  const subject = stateKey(localpart, session.server_name);
  const present = room === null ? null : await client.getState(room, EventType.assignment, subject);
  const assignment = present === null ? null : parseEvent(EventType.assignment, present);
  if (room === null || assignment === null || assignment.desired === "absent") {
    throw new CliError(
      "no-such-agent",
      `Cannot change the policy of "${localpart}": it is not assigned to this machine`,
      { status: 404, hint: "`bureau agent list` shows what is" },
    );
  }
  try {
    await verifyContent(present!, [key.publicKey]);
  } catch (cause) {
    throw new CliError(
      "foreign-assignment",
      `Cannot change the policy of "${localpart}": its assignment is not as you signed it`,
      { cause, status: 409, hint: "look at it, then write it anew: bureau agent create" },
    );
  }
  const egress = applyChange(assignment.egress, change);
  const { signature: _, egress: before, ...rest } = present!;
  if (canonicalJson(egress) === canonicalJson(before ?? { allow: [] })) return false;
  const signed = await signContent({
    ...rest,
    egress,
    issued_by: session.user_id,
    // Never older than what a launcher has seen, whatever this clock says.
    issued_at: Math.max(Date.now(), assignment.issued_at + 1),
  }, key);
  await client.putState(room, EventType.assignment, subject, { ...signed });
  return true;
}

/** In one list it is not in the other: the last word counts. */
export function applyChange(
  policy: EgressPolicy | undefined,
  { list, entry, undo = false }: PolicyChange,
): EgressPolicy {
  const without = <T>(entries: readonly T[] | undefined) =>
    (entries ?? []).filter((present) => present !== entry);
  const allow = without(policy?.allow);
  const deny = without(policy?.deny);
  const ask = without(policy?.ask);
  if (!undo) ({ allow, deny, ask })[list].push(entry);
  const { deny: _, ask: __, ...rest } = policy ?? {};
  return {
    ...rest,
    allow,
    ...(deny.length === 0 ? {} : { deny }),
    ...(ask.length === 0 ? {} : { ask }),
  };
}
