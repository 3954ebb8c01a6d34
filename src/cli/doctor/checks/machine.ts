// SPDX-License-Identifier: Apache-2.0

/** What the shell wrote down of this machine and of Bureau's files on it, judged. */
import type { PreflightFinding } from "../../../launcher/api.ts";
import type { Facts } from "../../../lib/hwinfo/mod.ts";
import type { Check, Finding, Status } from "../check.ts";
import type { Subject } from "../subject.ts";
import { installationOf, judgeFiles } from "./files.ts";
import { judgeRuntime, judgeUnits } from "./installed.ts";
import { judgeKernel } from "./kernel.ts";
import { judgeBackups, judgeResources, judgeStorage } from "./resources.ts";
import { judgeLeftovers, judgeSockets } from "./sockets.ts";

/** What those need who look at nothing but files: no process and no homeserver is asked. */
export function localChecks(
  facts: Facts,
  tried: readonly PreflightFinding[],
  dirs: { readonly stateDir: string; readonly runDir: string },
): Check[] {
  const place = installationOf(facts, dirs);
  return [
    {
      group: "machine",
      name: "machine",
      guide: "a-sandbox-cannot-be-made",
      run: () => worse(judgeKernel(facts), tried.map(fromLauncher)),
    },
    {
      group: "machine",
      name: "resources",
      guide: "the-machine-runs-out-of-something",
      run: () => judgeResources(facts),
    },
    {
      group: "installation",
      name: "files",
      guide: "a-file-has-another-owner-or-mode",
      run: () => judgeFiles(facts, place),
    },
    {
      group: "installation",
      name: "units",
      guide: "under-systemd",
      run: () => judgeUnits(facts, place),
    },
    {
      group: "installation",
      name: "storage",
      guide: "the-machine-runs-out-of-something",
      run: () => [...judgeStorage(facts, dirs.stateDir), ...judgeBackups(facts, Date.now())],
    },
    {
      group: "processes",
      name: "socket",
      guide: "nothing-runs-or-only-half-of-it",
      run: () => judgeSockets(facts, place),
    },
    {
      group: "processes",
      name: "leftovers",
      guide: "nothing-runs-or-only-half-of-it",
      run: () => judgeLeftovers(facts, place),
    },
  ];
}

/** Which release runs, only the supervisor knows. */
export function runtimeCheck(facts: Facts, subject: Subject): Check {
  return {
    group: "installation",
    name: "runtime",
    guide: "the-build-is-not-the-one-you-expect",
    run: async () => {
      const release = (await subject.supervisor())?.release?.current ?? null;
      return judgeRuntime(facts, installationOf(facts, subject.call), release);
    },
  };
}

const STATUS: Readonly<Record<PreflightFinding["severity"], Status>> = {
  ok: "pass",
  warning: "warn",
  error: "fail",
};

const fromLauncher = ({ check, severity, message, hint }: PreflightFinding): Finding => ({
  name: check,
  status: STATUS[severity],
  detail: message,
  ...(hint === undefined ? {} : { hint }),
});

/** What both looked at is told once, by whoever found it worse. */
function worse(judged: readonly Finding[], tried: readonly Finding[]): Finding[] {
  const rank: Readonly<Record<Status, number>> = { skip: 0, pass: 1, warn: 2, fail: 3 };
  const byName = new Map<string, Finding>();
  for (const finding of [...judged, ...tried]) {
    const known = byName.get(finding.name);
    if (known === undefined || rank[finding.status] > rank[known.status]) {
      byName.set(finding.name, finding);
    }
  }
  return [...byName.values()];
}
