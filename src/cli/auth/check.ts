// SPDX-License-Identifier: Apache-2.0

/** `auth check`: a decision, and the rules that made it. */
import type { RuleView } from "../../daemon/api.ts";
import type { CommandHandler } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import { daemonClient, loadSession } from "../session.ts";
import { userOf } from "./names.ts";
import { describeGiver, describeRule, describeSource } from "./rule.ts";
import type * as results from "./results.ts";

export const check: CommandHandler<typeof results.check> = async (call) => {
  const session = await loadSession(call);
  const [actor, action, target] = call.args;
  const daemon = daemonClient(call, session);
  try {
    const query = {
      actor: userOf(session, actor!),
      action: action!,
      ...(target === undefined ? {} : { target: userOf(session, target) }),
    };
    const answer = await daemon.call("checkAuthorization", { query, signal: call.signal });
    const on = answer.target === null ? "" : ` to ${answer.target}`;
    const what = `${answer.actor} (${answer.actor_kind}): ${answer.action}${on}`;
    const lines = [
      ...lineOf("grant", answer.grant),
      ...lineOf("allowance", answer.allowance),
      ...lineOf("denial", answer.denial),
      ...lineOf("allowance denial", answer.allowance_denial),
    ];
    call.print(`${what}\n${answer.allowed ? "allowed" : `refused: ${answer.reason}`}`);
    for (const line of lines) call.print(line);
    return answer.allowed ? answer : new Ended(answer, Exit.failed);
  } finally {
    daemon.close();
  }
};

function lineOf(name: string, rule: RuleView | null): string[] {
  if (rule === null) return [];
  const giver = describeGiver(rule);
  return [
    `  ${name}: ${describeRule(rule)}`,
    `    from ${describeSource(rule)}${giver === "" ? "" : `, ${giver}`}`,
  ];
}
