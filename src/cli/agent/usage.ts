// SPDX-License-Identifier: Apache-2.0

/** `agent usage`, `agent freeze` and `agent thaw`: what a sandbox takes now, and stopping it in its tracks. */
import type { CommandHandler, Destroyer } from "../framework/command.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import type * as results from "./results.ts";

export const usage: CommandHandler<typeof results.usage> = async (call) => {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    const params = { principal: principalOf(session, call.args[0]!) };
    const now = await daemon.call("usage", { params, signal: call.signal });
    const mib = (bytes: number | null) => bytes === null ? "?" : (bytes / 2 ** 20).toFixed(1);
    const limit = (value: string | number | null) => value === null ? "no limit" : `of ${value}`;
    const bound = now.memory_limit_bytes === null ? null : `${mib(now.memory_limit_bytes)} MiB`;
    const lines: [string, string][] = [
      [
        "memory",
        `${mib(now.memory_bytes)} MiB, ${limit(bound)}; at most ${
          mib(now.memory_peak_bytes)
        } MiB so far`,
      ],
      ["processes", `${now.pids ?? "?"}, ${limit(now.pids_limit)}`],
      ["cpu", `${now.cpu_ms === null ? "?" : (now.cpu_ms / 1000).toFixed(1)} s`],
      ["held back", `${now.cpu_throttled ?? "?"} times by its processor limit`],
      ["killed", `${now.oom_kills ?? "?"} processes by its memory limit`],
      ["refused", `${now.pids_refused ?? "?"} processes by its process limit`],
      ["frozen", now.frozen ? "yes" : "no"],
    ];
    for (const [name, value] of lines) call.print(`${name.padEnd(12)} ${value}`);
    return now;
  } finally {
    daemon.close();
  }
};

const setFrozen =
  (what: "freeze" | "thaw"): CommandHandler<typeof results.freeze> => async (call) => {
    const session = await loadSession(call);
    const daemon = daemonClient(call, session);
    try {
      const principal = principalOf(session, call.args[0]!);
      const answer = await daemon.call(what, { params: { principal }, signal: call.signal });
      call.print(`${principal} ${answer.frozen ? "is frozen; its proxy goes on" : "goes on"}`);
      return { principal, ...answer };
    } finally {
      daemon.close();
    }
  };

/** Not `stop`: the assignment stays, so its restart policy says whether it comes back. */
export const kill: Destroyer<typeof results.kill> = async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  return {
    what: `kill every process of ${principal}`,
    lines: ["what it had in memory is lost; its restart policy decides what follows"],
    run: async () => {
      const daemon = daemonClient(call, session);
      try {
        const answer = await daemon.call("kill", { params: { principal }, signal: call.signal });
        call.print(`${principal} was killed; its restart policy decides what follows`);
        return { principal, ...answer };
      } finally {
        daemon.close();
      }
    },
  };
};

export const freeze = setFrozen("freeze");
export const thaw = setFrozen("thaw");
