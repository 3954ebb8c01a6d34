// SPDX-License-Identifier: Apache-2.0

/** `log list`: what is kept of an agent's terminal. */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { ago, shortName } from "../agent/list.ts";
import type { CommandHandler } from "../framework/command.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import type * as results from "./results.ts";

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    if (call.args[0] === undefined) {
      const answer = await daemon.call("recorded", { signal: call.signal });
      const rows = answer.principals.map(({ principal, recordings, bytes, ended }) => [
        neutraliseLine(shortName(principal)),
        String(recordings),
        showBytes(bytes),
        `${ago(ended)} ago`,
      ]);
      if (rows.length === 0) call.print("nothing is recorded here");
      else {for (const line of table(["AGENT", "RECORDINGS", "SIZE", "LAST"], rows)) {
          call.print(line);
        }}
      return answer;
    }
    const principal = principalOf(session, call.args[0]);
    const answer = await daemon.call("recordings", { params: { principal }, signal: call.signal });
    const rows = answer.recordings.map(({ id, started, ended, bytes, open }) => [
      id,
      new Date(started).toISOString().slice(0, 19).replace("T", " "),
      ago(started, ended),
      showBytes(bytes),
      open ? "being written" : "",
    ]);
    if (rows.length === 0) call.print(`nothing of ${shortName(principal)} is recorded`);
    else {for (const line of table(["ID", "BEGAN (UTC)", "LASTS", "SIZE", ""], rows)) {
        call.print(line);
      }}
    return answer;
  } finally {
    daemon.close();
  }
};

function showBytes(bytes: number): string {
  if (bytes < 10_000) return `${bytes} B`;
  const units = ["kB", "MB", "GB"];
  let value = bytes / 1000;
  while (value >= 10_000 && units.length > 1) {
    value /= 1000;
    units.shift();
  }
  return `${Math.round(value)} ${units[0]}`;
}
