// SPDX-License-Identifier: Apache-2.0

/** The processes as they see themselves: all run, of one build, and the daemon has homeserver and launcher. */
import { messageOf } from "../../../lib/errors.ts";
import { HttpApiError } from "../../../lib/http/mod.ts";
import { VERSION } from "../../../lib/version.ts";
import { ago } from "../../agent/list.ts";
import { CliError } from "../../framework/exit.ts";
import { type Check, type Finding, pass, skipped } from "../check.ts";
import type { Subject } from "../subject.ts";

/** One that was started so often since `up` ends again and again. */
const MANY_RESTARTS = 5;

/** @param units whether systemd runs Bureau, and no `up` does */
export function processChecks(subject: Subject, units: boolean): Check[] {
  return [
    {
      group: "processes",
      name: "supervisor",
      guide: "nothing-runs-or-only-half-of-it",
      run: () =>
        units
          ? [skipped("supervisor", "systemd runs Bureau here: `units` says how")]
          : supervised(subject),
    },
    {
      group: "processes",
      name: "daemon",
      guide: "nothing-runs-or-only-half-of-it",
      needs: ["operator"],
      run: () => daemon(subject, units),
    },
  ];
}

async function supervised(subject: Subject): Promise<Finding[]> {
  const name = "supervisor";
  const status = await subject.supervisor();
  if (status === null) return [skipped(name, "no `up` runs here: sh tasks/up starts Bureau")];
  const found: Finding[] = [];
  if (status.state !== "ready") {
    found.push({
      name,
      status: status.state === "failed" ? "fail" : "warn",
      detail: `Bureau is ${status.state}${status.message === null ? "" : `: ${status.message}`}`,
      hint: status.hint ?? "bureau status",
    });
  }
  for (const process of status.processes) {
    const about = `process.${process.name}`;
    const said = process.message === null ? "" : `: ${process.message}`;
    const log = `bureau status; ${status.state_dir}/logs/${process.name}.log`;
    if (process.state !== "running") {
      found.push({
        name: about,
        status: process.state === "failed" || process.state === "restarting" ? "fail" : "warn",
        detail: `it is ${process.state}${said}`,
        hint: log,
      });
    } else if (process.restarts >= MANY_RESTARTS) {
      found.push({
        name: about,
        status: "warn",
        detail: `it was started ${process.restarts} times again${said}`,
        hint: log,
      });
    }
  }
  const { release } = status;
  if (release !== undefined && release.note !== null) {
    found.push({ name: "release", status: "warn", detail: release.note, hint: "bureau status" });
  }
  if (release?.outcome?.ok === false) {
    found.push({
      name: "release",
      status: "warn",
      detail: `the upgrade to ${release.outcome.to.slice(0, 12)} failed ${
        ago(release.outcome.at)
      } ago: ${release.outcome.message}`,
      hint: "mend what it names, then bureau machine upgrade --again",
    });
  }
  if (found.length > 0) return found;
  return [pass(name, `${status.processes.length} processes run, for ${ago(status.started_at)}`)];
}

async function daemon(subject: Subject, units: boolean): Promise<Finding[]> {
  const name = "daemon";
  let status;
  try {
    status = await subject.daemon();
  } catch (thrown) {
    if (thrown instanceof HttpApiError && thrown.status === 401) {
      return [skipped(name, "it does not know your session")];
    }
    const hint = thrown instanceof CliError || thrown instanceof HttpApiError
      ? thrown.hint
      : undefined;
    return [{
      name,
      status: "fail",
      detail: messageOf(thrown),
      ...(hint === undefined ? {} : { hint }),
    }];
  }
  if (status === null) {
    if (!units && await subject.supervisor() === null) return [skipped(name, "it does not run")];
    return [{
      name,
      status: "fail",
      detail: "it does not answer",
      hint: units ? "journalctl -u bureau-daemon -n 50" : "bureau status says why",
    }];
  }
  const found: Finding[] = [];
  if (status.sync.state !== "ok" && status.sync.state !== "starting") {
    found.push({
      name: "daemon.sync",
      status: "fail",
      detail: status.sync.state === "lost"
        ? `the machine's session is gone: ${status.sync.message ?? "the homeserver ended it"}`
        : `the homeserver does not tell it what happens: ${status.sync.message ?? ""}`,
      reason: "what is said and decided in rooms does not reach the agents",
      hint: status.sync.state === "lost"
        ? "sh tasks/up --down, then sh tasks/up, logs the machine in again"
        : "it tries again by itself; look at the homeserver",
    });
  }
  if (!status.launcher.connected) {
    found.push({
      name: "daemon.launcher",
      status: "fail",
      detail: "it has no connection to the launcher",
      reason: "no agent can be started or stopped",
      hint: "bureau status says how the launcher is",
    });
  }
  if (status.version !== VERSION) {
    found.push({
      name: "daemon.version",
      status: "warn",
      detail: `it is of version ${status.version}, and this command of ${VERSION}`,
      hint: "bureau machine upgrade",
    });
  }
  return found.length > 0
    ? found
    : [pass(name, `it has launcher and homeserver, as ${status.machine}`)];
}
