// SPDX-License-Identifier: Apache-2.0

/** The agent's terminal: a line with the time for each thing, for whoever watches. */
import type { AgentEvent } from "../../src/agent/event.ts";

const MOST = 400;

/** Models and files are anybody's text: no terminal sequences. */
function plain(text: string): string {
  // deno-lint-ignore no-control-regex -- they are what is taken out
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}

function short(text: string): string {
  const line = plain(text).replace(/\s+/g, " ").trim();
  return line.length <= MOST ? line : `${line.slice(0, MOST)}…`;
}

export function show(text: string): void {
  console.log(`${new Date().toTimeString().slice(0, 8)}  ${plain(text)}`);
}

export function showEvent(event: AgentEvent): void {
  switch (event.type) {
    case "text":
      if (event.partial !== true) show(event.text);
      break;
    case "tool_call":
      show(`→ ${event.name} ${short(JSON.stringify(event.input))}`);
      break;
    case "tool_result":
      show(`${event.is_error ? "✗" : "←"} ${short(event.output) || "(nothing)"}`);
      break;
    case "error":
      show(`! ${short(event.message)}`);
      break;
    case "cost":
      show(`  $${event.usd.toFixed(4)} so far`);
      break;
    case "end":
      if (event.error !== null) show(`! ${short(event.error)}`);
  }
}
