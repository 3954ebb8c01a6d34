// SPDX-License-Identifier: Apache-2.0

/**
 * `doctor`: shows what a short-lived launcher tried and what the kernel's files say. `tasks/doctor.sh` runs the
 * launcher and does the mending; this process may do neither.
 */
import * as z from "zod/mini";
import { PreflightReport } from "../../launcher/api.ts";
import { inventoryOf, parseFacts } from "../../lib/hwinfo/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { describe, describeMachine } from "./describe.ts";
import { type Finding, judgeMachine } from "./judge.ts";

/** The launcher's report is one line; the machine's facts follow. */
export const doctor: CommandHandler = async (call) => {
  if (call.flags["report"] !== true) {
    throw new CliError("no-report", "Cannot examine this machine: there is no report on stdin", {
      hint: "run `sh tasks/bureau doctor`, which asks a launcher for one",
    });
  }
  const text = await new Response(Deno.stdin.readable).text();
  const [line, ...rest] = text.split("\n");
  const facts = parseFacts(rest.join("\n"));
  const findings = merge(launcherFindings(line!), judgeMachine(facts));
  if (call.flags["fixes"] === true) {
    for (const { fix } of findings) if (fix !== undefined) call.emit(fix);
    return undefined;
  }
  const inventory = inventoryOf(facts);
  for (const one of describeMachine(inventory)) call.print(neutraliseLine(one));
  for (const one of describe(findings)) call.print(neutraliseLine(one));
  return { findings, inventory };
};

function launcherFindings(line: string): Finding[] {
  try {
    return z.parse(PreflightReport, JSON.parse(line)).findings;
  } catch {
    return [{
      check: "launcher",
      severity: "error",
      message: "no launcher could be started to try a sandbox here",
      ...(line.trim() === "" ? {} : { reason: line.slice(0, 500) }),
      hint: "mend what else is told, and run this again",
    }];
  }
}

/** What both looked at is told once, by whoever found it worse. */
function merge(tried: readonly Finding[], judged: readonly Finding[]): Finding[] {
  const rank = { ok: 0, warning: 1, error: 2 } as const;
  const byCheck = new Map<string, Finding>();
  for (const finding of [...judged, ...tried]) {
    const known = byCheck.get(finding.check);
    if (known === undefined || rank[finding.severity] > rank[known.severity]) {
      byCheck.set(finding.check, finding);
    }
  }
  return [...byCheck.values()];
}
