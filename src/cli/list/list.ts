// SPDX-License-Identifier: Apache-2.0

/** `list`: everything that runs on this machine on one screen, who needs a person first. */
import type { PrincipalView } from "../../daemon/api.ts";
import type { Usage } from "../../launcher/api.ts";
import { systemClock } from "../../lib/clock.ts";
import { neutraliseLine, safeJson } from "../../lib/terminal/mod.ts";
import { ago, shortName, uncounted } from "../agent/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { lookAtScreen } from "../framework/screen.ts";
import { type Cell, table } from "../framework/table.ts";
import { machineOf } from "../machine/fleet.ts";
import { hereDaemon, type MachineDaemon, peerDaemon } from "../machine/peer.ts";
import { daemonClient, loadSession, loadSigningKey } from "../session.ts";
import { byNeed, needOf } from "./need.ts";
import type * as results from "./results.ts";

/** Over which time a processor's use is taken, for one look. */
const SAMPLE_MS = 300;
const WATCH_MS = 2_000;
const MAX_LINE = 200;
const MIB = 2 ** 20;

export interface Row {
  readonly view: PrincipalView;
  readonly usage: Usage | null;
  /** Of one processor; null: nothing counts it. */
  readonly cpu_percent: number | null;
}

interface Sample {
  readonly at: number;
  readonly views: readonly PrincipalView[];
  readonly usages: ReadonlyMap<string, Usage | null>;
}

async function sample({ signal }: Invocation, daemon: MachineDaemon): Promise<Sample> {
  const principals = await daemon.list(signal);
  const usages = await Promise.all(principals.map(async ({ principal, phase }) => {
    if (phase !== "running") return [principal, null] as const;
    const asked = daemon.usage(principal, signal);
    // Not there any more, or on a machine that does not count.
    return [principal, await asked.catch(uncounted)] as const;
  }));
  return { at: performance.now(), views: principals, usages: new Map(usages) };
}

/** What was used between two samples, who needs a person first. */
export function rowsOf(before: Sample, now: Sample): Row[] {
  const rows = now.views.map((view): Row => {
    const usage = now.usages.get(view.principal) ?? null;
    const then = before.usages.get(view.principal)?.cpu_ms ?? null;
    const cpu = usage?.cpu_ms ?? null;
    const used = cpu === null || then === null ? null : cpu - then;
    const elapsed = now.at - before.at;
    // Less than before: another life of it.
    const cpu_percent = used === null || used < 0 || elapsed <= 0 ? null : 100 * used / elapsed;
    return { view, usage, cpu_percent };
  });
  return rows.sort((a, b) => byNeed(a.view, b.view));
}

export function listTable(rows: readonly Row[]): string[] {
  if (rows.length === 0) return ["nothing is assigned to this machine"];
  return table(
    ["NAME", "STATE", "SINCE", "CPU %", "MEMORY MiB", "WATCHERS", "LAST LINE"],
    rows.map(({ view, usage, cpu_percent: cpu }) => {
      const need = needOf(view);
      const memory = usage?.memory_bytes ?? null;
      return [
        shortName(view.principal),
        needCell(need, view.frozen === true),
        ago(need.since),
        cpu === null ? "-" : cpu < 10 ? cpu.toFixed(1) : String(Math.round(cpu)),
        memory === null ? "-" : String(Math.ceil(memory / MIB)),
        String(view.watchers),
        lastLine(view),
      ];
    }),
    ["WATCHERS", "CPU %", "MEMORY MiB"],
  );
}

function needCell(need: ReturnType<typeof needOf>, isFrozen: boolean): Cell {
  const text = (need.waits ? "! " : "") + need.word + (isFrozen ? ", frozen" : "");
  return need.waits ? { text, tone: "warn" } : text;
}

function lastLine(view: PrincipalView): string {
  const { last_line: line } = view;
  const ended = view.exit_code === null ? "" : `exit status ${view.exit_code}`;
  return neutraliseLine(view.message ?? (line || ended)).slice(0, MAX_LINE);
}

const resultOf = (rows: readonly Row[]) => ({
  principals: rows.map(({ view, usage, cpu_percent }) => ({ ...view, usage, cpu_percent })),
});

export const list: CommandHandler<typeof results.list> = async (call) => {
  const session = await loadSession(call);
  const own = daemonClient(call, session);
  const named = call.flags["machine"];
  const machine = named === undefined ? session.machine : machineOf(session, String(named));
  try {
    const daemon = machine === session.machine
      ? hereDaemon(own)
      : peerDaemon(own, session, await loadSigningKey(call), machine);
    let before = await sample(call, daemon);
    if (call.flags["watch"] !== true) {
      const counts = [...before.usages.values()].some((usage) => usage !== null);
      if (counts) await systemClock.sleep(SAMPLE_MS, call.signal);
      const rows = rowsOf(before, counts ? await sample(call, daemon) : before);
      for (const line of listTable(rows)) call.print(line);
      return resultOf(rows);
    }
    const onScreen = Deno.stdout.isTerminal() && !call.json;
    await systemClock.sleep(SAMPLE_MS, call.signal);
    while (!call.signal.aborted) {
      const now = await sample(call, daemon);
      const rows = rowsOf(before, now);
      if (call.json) call.emit(safeJson(resultOf(rows)));
      else {
        if (onScreen) call.print("\x1b[H\x1b[2J\x1b[H");
        // It may have another size by now.
        lookAtScreen();
        const lines = listTable(rows);
        const shown = onScreen ? lines.slice(0, Deno.consoleSize().rows - 2) : lines;
        for (const line of shown) call.print(line);
      }
      before = now;
      await systemClock.sleep(WATCH_MS, call.signal);
    }
    return undefined;
  } catch (thrown) {
    // Told to stop: that is how watching ends.
    if (call.flags["watch"] === true && call.signal.aborted) return undefined;
    throw thrown;
  } finally {
    own.close();
  }
};
