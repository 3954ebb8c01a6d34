// SPDX-License-Identifier: Apache-2.0

/** `auth grants` and `auth allowances`: every rule that holds for somebody. */
import type { PolicyView, RuleView } from "../../daemon/api.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession } from "../session.ts";
import { userOf } from "./names.ts";
import { describeGiver, describeRule, describeSource } from "./rule.ts";
import type * as results from "./results.ts";

type Rows = [verb: string, rules: readonly RuleView[]][];

const list =
  (rowsOf: (policy: PolicyView) => Rows, nothing: string): CommandHandler<typeof results.grants> =>
  async (call) => {
    const session = await loadSession(call);
    const daemon = daemonClient(call, session);
    try {
      const query = { user: userOf(session, call.args[0]!) };
      const policy = await daemon.call("authorizationOf", { query, signal: call.signal });
      const rows = rowsOf(policy).flatMap(([verb, rules]) =>
        rules.map((
          rule,
        ) => [verb, describeRule(rule), describeSource(rule), describeGiver(rule)])
      );
      if (rows.length === 0) call.print(`${policy.user_id} (${policy.kind}): ${nothing}`);
      else for (const line of table(["", "RULE", "FROM", ""], rows)) call.print(line);
      return policy;
    } finally {
      daemon.close();
    }
  };

export const grants = list(
  ({ grants, denials }) => [["deny", denials], ["grant", grants]],
  "no grants",
);

export const allowances = list(
  (policy) => [["deny", policy.allowance_denials], ["allow", policy.allowances]],
  "nobody but operators may do anything to it",
);
