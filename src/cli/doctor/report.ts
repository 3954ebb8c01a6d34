// SPDX-License-Identifier: Apache-2.0

/** What tasks/doctor.sh hands over on stdin: the launcher's report, one line; facts; what it mended. */
import * as z from "zod/mini";
import { type PreflightFinding, PreflightReport } from "../../launcher/api.ts";
import { type Facts, parseFacts } from "../../lib/hwinfo/mod.ts";
import type { Repair } from "./results.ts";

export interface Report {
  readonly tried: readonly PreflightFinding[];
  readonly facts: Facts;
  readonly mended: readonly Repair[];
}

export function parseReport(text: string): Report {
  const end = text.indexOf("\n");
  const [line, rest] = end === -1 ? [text, ""] : [text.slice(0, end), text.slice(end + 1)];
  const facts = parseFacts(rest);
  return { tried: launcherFindings(line), facts, mended: mendedOf(facts) };
}

function launcherFindings(line: string): readonly PreflightFinding[] {
  try {
    return z.parse(PreflightReport, JSON.parse(line)).findings;
  } catch {
    const said = line.trim() === "" ? "" : `: ${line.slice(0, 500)}`;
    return [{
      check: "launcher",
      severity: "error",
      message: `no launcher could be started to try a sandbox here${said}`,
      hint: "mend what else is told, and run this again",
    }];
  }
}

/** Lines `outcome name<tab>what`, as `mend` of tasks/doctor.sh writes them. */
function mendedOf(facts: Facts): Repair[] {
  return (facts.get("mended") ?? "").split("\n").flatMap((line): Repair[] => {
    const [, outcome, name, what] = /^(done|failed) (\S+)\t(.*)$/.exec(line) ?? [];
    if (what === undefined) return [];
    const done = outcome === "done";
    return [{
      name: name!,
      what,
      outcome: done ? "done" : "failed",
      why: done ? null : "the command failed: what it said is above",
    }];
  });
}
