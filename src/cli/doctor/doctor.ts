// SPDX-License-Identifier: Apache-2.0

/**
 * `doctor`: everything from the kernel to the rooms. `tasks/doctor.sh` runs a launcher, reads files and mends
 * them, which this process may not; it judges all that, asks the processes and the homeserver, and mends rooms.
 */
import { messageOf } from "../../lib/errors.ts";
import { inventoryOf } from "../../lib/hwinfo/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError, Ended, Exit } from "../framework/exit.ts";
import type { Check, Repair as Mending } from "./check.ts";
import { agentChecks } from "./checks/agents.ts";
import { installationOf } from "./checks/files.ts";
import { homeserverChecks } from "./checks/homeserver.ts";
import { localChecks, runtimeCheck } from "./checks/machine.ts";
import { processChecks } from "./checks/processes.ts";
import { roomChecks } from "./checks/rooms.ts";
import { parseReport, type Report } from "./report.ts";
import type * as results from "./results.ts";
import type { Repair } from "./results.ts";
import { runChecks, type Told } from "./run.ts";
import { describeEnd, describeGroup, describeMachine, GUIDE } from "./show.ts";
import { subjectOf } from "./subject.ts";

export const doctor: CommandHandler<typeof results.doctor> = async (call) => {
  if (call.flags["report"] !== true) {
    throw new CliError("no-report", "Cannot examine this machine: there is no report on stdin", {
      hint: "run `sh tasks/bureau doctor`, which asks a launcher for one",
    });
  }
  const report = parseReport(new TextDecoder().decode(await call.input()));
  if (call.flags["fixes"] === true) {
    await printFixes(call, report);
    return undefined;
  }
  const dry = call.flags["dry-run"] === true;
  const fix = call.flags["fix"] === true && !dry;
  const repairs = [...report.mended];
  let found: readonly Told[] | null = null;
  if (fix) {
    // Quietly, for what is told is how it is afterwards.
    found = await runChecks(checksOf(call, report), { ...options(call) });
    const tried = await mendRooms(found, repairs);
    if (tried) found = null;
  }
  const inventory = inventoryOf(report.facts);
  for (const line of describeMachine(inventory)) call.print(neutraliseLine(line));
  const show = (group: Told["group"], told: readonly Told[]) => {
    for (const line of describeGroup(group, told, call.flags["all"] === true)) {
      call.print(neutraliseLine(line));
    }
  };
  if (found === null) {
    found = await runChecks(checksOf(call, report), { ...options(call), onGroup: show });
  } else {
    for (const group of new Set(found.map((one) => one.group))) {
      show(group, found.filter((one) => one.group === group));
    }
  }
  if (dry || fix) {
    for (const { name, repair } of found) {
      if (
        repair !== undefined &&
        !repairs.some((one) => one.name === name && one.what === repair.what)
      ) {
        repairs.push({ name, what: repair.what, outcome: "left", why: whyLeft(call, repair, dry) });
      }
    }
  }
  for (const line of describeEnd(found, repairs, dry || fix)) call.print(neutraliseLine(line));
  const result = { checks: found.map(told), repairs, inventory };
  const bad = found.some(({ status }) => status === "fail");
  return bad ? new Ended(result, Exit.failed) : result;
};

function options(call: Invocation) {
  const seconds = Number(call.flags["deadline"]);
  if (!(seconds > 0 && seconds <= 600)) {
    throw new CliError("usage", "Cannot examine: --deadline is a number of seconds, 600 at most");
  }
  return { deadlineMs: seconds * 1000, signal: call.signal };
}

/** Asked anew each time: what was mended is seen. */
export function checksOf(call: Invocation, { facts, tried }: Report): Check[] {
  const subject = subjectOf(call);
  const units = installationOf(facts, call).layout === "systemd";
  return [
    ...localChecks(facts, tried, call),
    runtimeCheck(facts, subject),
    ...processChecks(subject, units),
    ...homeserverChecks(subject, units ? "fail" : "skip"),
    ...roomChecks(subject, facts),
    ...agentChecks(subject),
  ];
}

/** For tasks/doctor.sh: one a line, `id name what args…`, separated by tabs. */
async function printFixes(call: Invocation, report: Report): Promise<void> {
  const root = report.facts.get("id -u")?.trim() === "0";
  const found = await runChecks(localChecks(report.facts, report.tried, call), options(call));
  for (const { name, repair } of found) {
    if (repair?.by !== "shell" || (repair.root && !root)) continue;
    if (repair.machine && call.flags["yes"] !== true) continue;
    const words = [repair.id, name, repair.what, ...repair.args];
    // A name that would be two lines is nobody's of ours.
    if (words.some((word) => /[\t\n]/.test(word))) continue;
    call.emit(words.join("\t"));
  }
}

/** One after the other: one may mend what another found. @returns whether anything was tried */
async function mendRooms(found: readonly Told[], repairs: Repair[]): Promise<boolean> {
  let tried = false;
  for (const { name, repair } of found) {
    if (repair?.by !== "operator") continue;
    tried = true;
    const { what } = repair;
    try {
      await repair.apply();
      repairs.push({ name, what, outcome: "done", why: null });
    } catch (thrown) {
      repairs.push({ name, what, outcome: "failed", why: messageOf(thrown) });
    }
  }
  return tried;
}

function whyLeft(call: Invocation, repair: Mending, dry: boolean): string {
  if (repair.by === "shell" && repair.machine && call.flags["yes"] !== true) {
    return "it changes the whole machine: as root, with --fix --yes";
  }
  if (repair.by === "shell" && repair.root) return "as root: --fix does it, or you by that command";
  return dry ? "--fix does it" : "it was there again after it was mended";
}

function told({ repair, reason, hint, guide, ...rest }: Told) {
  const well = rest.status === "pass" || rest.status === "skip";
  return {
    ...rest,
    guide: `${GUIDE}#${guide}`,
    ...(reason === undefined || well ? {} : { reason }),
    ...(hint === undefined || well ? {} : { hint }),
    ...(repair === undefined ? {} : {
      repair: {
        what: repair.what,
        needs_root: repair.by === "shell" && repair.root,
        machine: repair.by === "shell" && repair.machine,
      },
    }),
  };
}
