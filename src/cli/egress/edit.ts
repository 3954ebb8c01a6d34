// SPDX-License-Identifier: Apache-2.0

/** `egress allow` and `egress block`: a line in the assignment's policy, signed. */
import type { CommandHandler } from "../framework/command.ts";
import { loadSession, principalOf } from "../session.ts";
import { changePolicy, readEntry } from "./policy.ts";

const edit = (list: "allow" | "deny"): CommandHandler => async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const entry = readEntry(call.args[1]!);
  const undo = call.flags["undo"] === true;
  const changed = await changePolicy(call, session, principal, { list, entry, undo });
  const verb = undo ? "no longer says anything of" : list === "allow" ? "allows" : "refuses";
  call.print(
    changed
      ? `the assignment of ${principal} ${verb} ${entry}, from now on`
      : `the assignment of ${principal} is so already; nothing changed`,
  );
  return { principal, entry, list, undo, changed };
};

export const allow = edit("allow");
export const block = edit("deny");
