// SPDX-License-Identifier: Apache-2.0

/** `matrix doctor`: of `doctor`, what is about the homeserver and the rooms on it. */
import { messageOf } from "../../lib/errors.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { homeserverChecks } from "../doctor/checks/homeserver.ts";
import { roomChecks } from "../doctor/checks/rooms.ts";
import { runChecks, type Told } from "../doctor/run.ts";
import { subjectOf } from "../doctor/subject.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import type * as results from "./results.ts";

interface Diagnosis {
  readonly check: string;
  readonly severity: "ok" | "warning" | "error";
  readonly message: string;
  readonly hint?: string;
  readonly fixed?: boolean;
}

/** For each check: a homeserver under load is looked at, too. */
const DEADLINE_MS = 10_000;
const SEVERITY = { pass: "ok", warn: "warning", fail: "error" } as const;

export const doctor: CommandHandler<typeof results.doctor> = async (call) => {
  const subject = subjectOf(call);
  // Here there is nothing to be said without one.
  await subject.operator();
  const checks = [...homeserverChecks(subject, "fail"), ...roomChecks(subject, null)];
  const found = await runChecks(checks, {
    deadlineMs: DEADLINE_MS,
    signal: call.signal,
  });
  const findings: Diagnosis[] = [];
  for (const one of found) {
    // Of what stands on something that failed, that alone is told.
    if (one.status === "skip" || one.name === "operator") continue;
    const diagnosis = await diagnosed(call, one, SEVERITY[one.status]);
    say(call, diagnosis);
    findings.push(diagnosis);
  }
  const bad = findings.some(({ severity, fixed }) => severity === "error" && fixed !== true);
  return bad ? new Ended({ findings }, Exit.failed) : { findings };
};

async function diagnosed(
  call: Invocation,
  { name, detail, hint, repair }: Told,
  severity: Diagnosis["severity"],
): Promise<Diagnosis> {
  const base = { check: name, severity, message: detail };
  if (repair?.by !== "operator") return hint === undefined ? base : { ...base, hint };
  if (call.flags["fix"] !== true) return { ...base, hint: "bureau matrix doctor --fix" };
  try {
    await repair.apply();
    return { ...base, fixed: true };
  } catch (thrown) {
    return { ...base, hint: `it could not be mended: ${messageOf(thrown)}` };
  }
}

function say(call: Invocation, { check, severity, message, hint, fixed }: Diagnosis): void {
  const word = fixed === true ? "mended" : severity;
  call.print(neutraliseLine(`${word.padEnd(8)} ${check.padEnd(20)} ${message}`));
  if (severity !== "ok" && fixed !== true && hint !== undefined) {
    call.print(neutraliseLine(`${"".padEnd(29)} ${hint}`));
  }
}
