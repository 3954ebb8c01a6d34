// SPDX-License-Identifier: Apache-2.0

/** What the agent does, for whoever watches its terminal. Everything that comes from the program is made harmless. */
import type { AgentEvent } from "../../src/agent/event.ts";
import { neutralise } from "../../src/lib/terminal/mod.ts";

const MOST_LINES = 12;

function shown(text: string, most = Infinity): string {
  const lines = neutralise(text).trimEnd().split("\n");
  if (lines.length <= most) return lines.join("\n");
  return [...lines.slice(0, most), `… (${lines.length - most} more lines)`].join("\n");
}

export function say(text: string): void {
  console.log(`${new Date().toTimeString().slice(0, 8)}  ${shown(text)}`);
}

/** @returns null: nothing that a person needs to see */
export function render(event: AgentEvent): string | null {
  switch (event.type) {
    case "text":
      return event.partial ? null : shown(event.text);
    case "thinking":
      return null;
    case "tool_call":
      return `> ${shown(event.name)} ${shown(JSON.stringify(event.input) ?? "", 1).slice(0, 300)}`;
    case "tool_result":
      return shown(event.output, MOST_LINES).split("\n")
        .map((line) => `${event.is_error ? "!" : "|"} ${line}`).join("\n");
    case "error":
      return `${event.is_retried ? "trying again" : "error"}: ${shown(event.message)}`;
    case "output":
      return `  ${shown(event.text, 3).slice(0, 500)}`;
    case "session":
      return `session ${shown(event.session_id)}${event.model ? ` of ${shown(event.model)}` : ""}`;
    case "cost":
      return `  $${event.usd.toFixed(4)} so far`;
    case "prompt":
      return shown(event.text);
    case "usage":
    case "state":
    case "end":
      return null;
  }
}
