// SPDX-License-Identifier: Apache-2.0

/** Whether an agent needs a person, in words. */
import type { Attention, PrincipalView } from "../../daemon/api.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";

const WORDS: Readonly<Record<Attention["state"], string>> = {
  failed: "failed",
  "waiting-approval": "waits for approval",
  "waiting-input": "waits for input",
  working: "works",
  idle: "idle",
};

const REASONS: Readonly<Record<Attention["reason"], string>> = {
  failed: "it ended with an error, or could not be started",
  "crash-loop": "it crashed too often and is left alone",
  "tool-call": "it asks whether it may call a tool; `bureau agent approvals` shows it",
  "egress-ask": "it asks to connect; `bureau egress list` shows to what",
  said: "it says so itself",
  question: "a question stands on its terminal",
  bell: "its terminal rang",
  prompt: "it stands at its prompt",
  output: "it writes on its terminal, or did lately",
  quiet: "it has written nothing for a while",
  starting: "it starts",
  frozen: "it is frozen",
  "not-running": "it does not run",
  unheard: "its terminal is not heard now",
};

/** `waits for input, 3 min`; a dash where nothing is known, or it does not run. */
export function attentionCell(
  { attention, phase }: PrincipalView,
  ago: (since: number) => string,
): string {
  if (attention === undefined || attention.reason === "not-running") return "-";
  if (attention.state === "working" && attention.reason === "unheard") return phase;
  const since = attention.state === "working" ? "" : `, ${ago(attention.since)}`;
  const unseen = attention.unseen && NEEDS.has(attention.state) ? " *" : "";
  return `${WORDS[attention.state]}${since}${unseen}`;
}

const NEEDS: ReadonlySet<string> = new Set(["failed", "waiting-approval", "waiting-input"]);

/** For one agent alone. */
export function attentionLines(
  { attention, last_line: last }: PrincipalView,
  ago: (since: number) => string,
): [string, string][] {
  if (attention === undefined) return [];
  const { state, since, reason, message, unseen } = attention;
  const seen = unseen && NEEDS.has(state) ? "; nobody has watched it since" : "";
  const said = message === null || reason === "egress-ask" ? "" : `: ${neutraliseLine(message)}`;
  return [
    ["attention", `${WORDS[state]}, for ${ago(since)} (${REASONS[reason]})${said}${seen}`],
    ...(last === undefined || last === ""
      ? []
      : [["last line", neutraliseLine(last)] as [string, string]]),
  ];
}
