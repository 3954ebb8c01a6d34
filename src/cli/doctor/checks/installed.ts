// SPDX-License-Identifier: Apache-2.0

/** The runtime and, under systemd, the units that Bureau is started from. */
import type { Facts } from "../../../lib/hwinfo/mod.ts";
import { type Finding, pass, skipped } from "../check.ts";
import { filesOf, type Installation } from "./files.ts";

/** @param release digest of what is run, where it is not the build that `up` brought */
export function judgeRuntime(
  facts: Facts,
  place: Installation,
  release: string | null,
): Finding[] {
  const name = "runtime";
  const lines = (facts.get("runtime") ?? "").split("\n").filter(Boolean).map((line) =>
    line.split(" ")
  );
  if (place.layout === "systemd") return judgeRelease(facts);
  if (lines.length === 0) return [skipped(name, "no runtime is installed: `up` does that")];
  const of = (state: string) => lines.filter(([one]) => one === state).map(([, file]) => file!);
  const hint = "sh tasks/up --down, then sh tasks/up, puts it there anew";
  const missing = of("missing");
  if (missing.length > 0) {
    return [{
      name,
      status: "fail",
      detail: `${place.stateDir}/runtime lacks ${missing.join(", ")}`,
      reason: "the processes are started from there",
      hint,
    }];
  }
  const differs = of("differs");
  if (differs.length === 0) {
    return [pass(name, `${lines.length} files, the same as this checkout's build`)];
  }
  const permissions = differs.filter((file) => file === "deno.json" || file === "grants.txt");
  return [{
    name: permissions.length > 0 ? "runtime.permissions" : "runtime.build",
    status: "warn",
    detail: permissions.length > 0
      ? `what processes are permitted is not what this checkout says: ${permissions.join(", ")}`
      : `${differs.length} files are not those of this checkout's build`,
    reason: release === null
      ? "the checkout was changed after `up`, or somebody changed what it installed"
      : `release ${release.slice(0, 12)} runs; this is what a start would fall back on`,
    hint: release === null ? `bureau machine upgrade, or ${hint}` : hint,
  }];
}

/** What deploy/install put there: by its own sums. */
function judgeRelease(facts: Facts): Finding[] {
  const name = "runtime";
  const [release, state] = (facts.get("release") ?? "").trim().split(" ");
  if (state === undefined) return [skipped(name, "no release with sums of its files is in use")];
  if (state === "whole") return [pass(name, `${release}: its files are those that it came with`)];
  return [{
    name,
    status: "fail",
    detail: `files of the release ${release} are not those that it came with`,
    reason: "somebody changed what the units run",
    hint: "look who did; then remove its directory and install it again: docs/guide/deployment.md",
  }];
}

const USERS = ["bureau-launcher", "bureau-daemon", "bureau-web"] as const;
const SECRETS = ["/etc/bureau/machine-session.json"] as const;

export function judgeUnits(facts: Facts, place: Installation): Finding[] {
  const name = "units";
  if (place.layout !== "systemd") return [pass(name, "none are installed: `up` runs Bureau here")];
  const users = USERS.filter((user) =>
    !(facts.get("users") ?? "").split("\n").some((line) => line.startsWith(`${user}:`))
  );
  const found: Finding[] = [];
  if (users.length > 0) {
    found.push({
      name: "units.users",
      status: "fail",
      detail: `there is no user ${users.join(", ")}`,
      reason: "each process has a user of its own, which keeps their files apart",
      hint:
        "systemd-sysusers, with deploy/systemd/sysusers.conf in /usr/lib/sysusers.d/bureau.conf",
    });
  }
  const others = (facts.get("group") ?? "").trim().split(":")[3] ?? "";
  if (others !== "") {
    found.push({
      name: "units.group",
      status: "warn",
      detail: `in the group bureau there is also ${others}`,
      reason: "whoever is in it reaches the launcher's socket",
      hint: "gpasswd --delete USER bureau, unless you want that",
    });
  }
  found.push(...judgeEtc(facts, place));
  found.push(...judgeActive(facts));
  return found.some(({ status }) => status === "fail" || status === "warn")
    ? found
    : [pass(name, "users, files in /etc/bureau and units are as they must be"), ...found];
}

/** An ordinary user sees nothing there. */
function judgeEtc(facts: Facts, place: Installation): Finding[] {
  if (place.uid !== 0) return [];
  const files = filesOf(facts);
  return ["/etc/bureau/bureau.env", ...SECRETS].flatMap((path): Finding[] => {
    const file = files.get(path);
    if (file === undefined) {
      return [{
        name: "units.settings",
        status: "fail",
        detail: `${path} is not there`,
        hint: "/usr/lib/bureau/setup writes it; deploy/systemd/README.md says what stands in it",
      }];
    }
    if (file.uid === 0) return [];
    return [{
      name: "units.settings",
      status: "fail",
      detail: `${path} belongs to user ${file.uid}`,
      reason: "its owner decides as which machine the daemon speaks",
      hint: `chown root:root ${path}`,
    }];
  });
}

function judgeActive(facts: Facts): Finding[] {
  const lines = (facts.get("units") ?? "").split("\n").filter(Boolean).map((line) =>
    line.split(" ")
  );
  if (lines.length === 0) {
    return [skipped("units.active", "no systemd runs here that could be asked")];
  }
  return lines.flatMap(([unit, enabled, active, condition, release]): Finding[] => {
    // Who wants no page leaves its unit out.
    if (unit === "bureau-web" && enabled !== "enabled") return [];
    // Of a machine with another homeserver: systemd has passed it over.
    if (active === "inactive" && condition === "no") return [];
    const name = `units.${unit}`;
    if (active !== "active") {
      return [{
        name,
        status: "fail",
        detail: `${unit} is ${active}`,
        hint: `systemctl status ${unit}; journalctl -u ${unit} -n 50`,
      }];
    }
    if (release === "other") {
      return [{
        name,
        status: "warn",
        detail: `${unit} runs another release than the one in use`,
        hint: `systemctl restart ${unit}; agents go on`,
      }];
    }
    if (enabled === "enabled") return [pass(name, "enabled and active")];
    return [{
      name,
      status: "warn",
      detail: `${unit} is ${enabled}: it is not started with the machine`,
      hint: `systemctl enable ${unit}`,
    }];
  });
}
