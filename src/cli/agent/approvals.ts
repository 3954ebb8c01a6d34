// SPDX-License-Identifier: Apache-2.0

/** `agent approvals`, `agent approve`, `agent deny`: tool calls that agents ask leave for. */
import type { ApprovalView } from "../../daemon/api.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import { ago, shortName } from "./list.ts";
import type * as results from "./results.ts";

/** How many of the last a person wants to see. */
const MAX_SHOWN = 20;
/** Of an id: people type its beginning. */
const SHOWN_LETTERS = 6;
const MAX_CALL = 120;

const shortId = ({ id }: ApprovalView) => id.slice(0, SHOWN_LETTERS);

/** The daemon has made it harmless. */
function callOf({ tool, resource }: ApprovalView): string {
  const whole = `${tool}: ${resource}`;
  return whole.length > MAX_CALL ? `${whole.slice(0, MAX_CALL - 1)}…` : whole;
}

export const approvals: CommandHandler<typeof results.approvals> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const all = await daemon.call("approvals", { signal: call.signal });
    const name = call.args[0];
    const wanted = name === undefined ? null : principalOf(session, name);
    const of = (list: readonly ApprovalView[]) =>
      list.filter(({ principal }) => wanted === null || principal === wanted);
    const answer = { pending: of(all.pending), ended: of(all.ended) };
    for (const line of openLines(answer.pending)) call.print(line);
    if (answer.ended.length > 0) {
      call.print("");
      const rows = answer.ended.slice(0, MAX_SHOWN).map((one) => [
        ...[shortId(one), shortName(one.principal), outcomeOf(one), `${ago(one.at)} ago`],
        ...[one.by === null ? "-" : `${one.by} (${one.via})`, callOf(one)],
      ]);
      for (
        const line of table(["ENDED", "AGENT", "OUTCOME", "WHEN", "BY", "CALL"], rows, [
          "BY",
          "WHEN",
        ])
      ) {
        call.print(line);
      }
    }
    return answer;
  } finally {
    daemon.close();
  }
};

function openLines(pending: readonly ApprovalView[], now = Date.now()): readonly string[] {
  if (pending.length === 0) return ["no tool call waits for leave"];
  const lines = table(
    ["APPROVAL", "AGENT", "PERMISSION", "SINCE", "REFUSED IN", "CALL"],
    pending.map((one) => [
      ...[shortId(one), shortName(one.principal), one.permission, ago(one.since, now)],
      ...[ago(now, Math.max(now, one.until)), callOf(one)],
    ]),
  );
  // What is decided about is shown whole.
  const long = pending.filter((one) => callOf(one).endsWith("…"));
  return [
    ...lines,
    ...long.flatMap((one) => ["", `${shortId(one)}: ${one.tool}: ${one.resource}`]),
  ];
}

function outcomeOf({ state, verdict }: ApprovalView): string {
  if (state === "expired") return "refused, nobody answered";
  if (state === "failed") return "void, the agent was gone";
  return verdict === "approve" ? "allowed" : "refused";
}

const decide =
  (verdict: "approve" | "deny"): CommandHandler<typeof results.approve> => async (call) => {
    const session = await loadSession(call);
    const daemon = daemonClient(call, session);
    try {
      const body = { id: call.args[0]!, verdict };
      const decided = await daemon.call("decideApproval", { body, signal: call.signal });
      const verb = verdict === "approve" ? "allowed, this once" : "refused";
      call.print(`${shortName(decided.principal)} → ${callOf(decided)}: ${verb}`);
      return decided;
    } finally {
      daemon.close();
    }
  };

export const approve = decide("approve");
export const deny = decide("deny");
