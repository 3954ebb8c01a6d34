// SPDX-License-Identifier: Apache-2.0

/** `egress allow`, `egress ask` and `egress block`: a line in the assignment's policy, signed. */
import type { CommandHandler } from "../framework/command.ts";
import { loadSession, principalOf } from "../session.ts";
import { changePolicy, type ListName, readEntry } from "./policy.ts";
import type * as results from "./results.ts";

const edit = (list: ListName): CommandHandler<typeof results.allow> => async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const entry = readEntry(call.args[1]!, list);
  const undo = call.flags["undo"] === true;
  const changed = await changePolicy(call, session, principal, { list, entry, undo });
  const verb = undo ? "no longer says anything of" : VERBS[list];
  call.print(
    changed
      ? `the assignment of ${principal} ${verb} ${entry}, from now on`
      : `the assignment of ${principal} is so already; nothing changed`,
  );
  return { principal, entry, list, undo, changed };
};

const VERBS = { allow: "allows", deny: "refuses", ask: "asks an operator about" } as const;

export const allow = edit("allow");
export const block = edit("deny");
export const ask = edit("ask");
