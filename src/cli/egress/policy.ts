// SPDX-License-Identifier: Apache-2.0

/** Changes to the egress policy of an assignment, which the operator signs anew. */
import { canonicalJson } from "../../lib/canonical/mod.ts";
import { askPattern, hostPattern } from "../../lib/authority.ts";
import type { EgressPolicy } from "../../lib/schema/mod.ts";
import { EGRESS_PRESETS, presetOf } from "../../lib/template/mod.ts";
import { editAssignment } from "../assignment.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import type { OperatorSession } from "../session.ts";

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

/** @returns whether anything changed */
export async function changePolicy(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
  change: PolicyChange,
): Promise<boolean> {
  return await editAssignment(call, session, localpart, ({ egress }) => {
    const changed = applyChange(egress, change);
    return canonicalJson(changed) === canonicalJson(egress ?? { allow: [] })
      ? {}
      : { egress: changed };
  });
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
