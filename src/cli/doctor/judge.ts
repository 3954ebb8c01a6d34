// SPDX-License-Identifier: Apache-2.0

/** What the kernel's own files say against sandboxes here. Pure, so that other machines can be tried as fixtures. */
import type { PreflightFinding } from "../../launcher/api.ts";
import { fact, type Facts, numberFact } from "../../lib/hwinfo/mod.ts";

export type FixId = "userns-clone" | "max-userns" | "apparmor-profile";

export interface Finding extends PreflightFinding {
  /** Why it matters. */
  readonly reason?: string;
  /** A command that mends it. */
  readonly command?: string;
  /** What `--fix` may do by itself: it changes nothing but this, and can be undone. */
  readonly fix?: FixId;
}

const NAMESPACES = "every sandbox is made of user namespaces that an ordinary user may make";

export function judgeMachine(facts: Facts): Finding[] {
  return [
    judgeUserNamespaces(facts),
    judgeAppArmor(facts),
    judgeSetuid(facts),
    judgeProc(facts),
    judgeSeccomp(facts),
    judgeInotify(facts),
    judgePids(facts),
  ].filter((finding) => finding !== null);
}

function judgeUserNamespaces(facts: Facts): Finding {
  // Debian's own switch, and hardened kernels'.
  if (numberFact(facts, "/proc/sys/kernel/unprivileged_userns_clone") === 0) {
    return {
      check: "kernel.userns",
      severity: "error",
      message: "kernel.unprivileged_userns_clone is 0: only root may make user namespaces",
      reason: NAMESPACES,
      command: "sysctl -w kernel.unprivileged_userns_clone=1",
      fix: "userns-clone",
    };
  }
  const most = numberFact(facts, "/proc/sys/user/max_user_namespaces");
  // Two for each agent, one for its proxy, and throw-away ones.
  if (most !== null && most < 64) {
    return {
      check: "kernel.userns",
      severity: most < 4 ? "error" : "warning",
      message: `user.max_user_namespaces is ${most}`,
      reason: `${NAMESPACES}, four for each agent`,
      command: "sysctl -w user.max_user_namespaces=15000",
      fix: "max-userns",
    };
  }
  return { check: "kernel.userns", severity: "ok", message: "ordinary users may make namespaces" };
}

function judgeAppArmor(facts: Facts): Finding {
  const check = "apparmor";
  if (numberFact(facts, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") !== 1) {
    return { check, severity: "ok", message: "AppArmor does not restrict user namespaces" };
  }
  if (facts.has("/etc/apparmor.d/bureau-bwrap")) {
    return { check, severity: "ok", message: "AppArmor has a profile for bwrap (bureau-bwrap)" };
  }
  const theirs = facts.has("/etc/apparmor.d/bwrap-userns-restrict");
  return {
    check,
    severity: "error",
    message: "AppArmor forbids user namespaces to programs without a profile, bwrap among them",
    reason: theirs
      ? "/etc/apparmor.d/bwrap-userns-restrict lets bwrap make one, but not a sandbox within it"
      : NAMESPACES,
    command:
      "install -m 0644 deploy/apparmor/bureau-bwrap /etc/apparmor.d/ && apparmor_parser -r /etc/apparmor.d/bureau-bwrap",
    // Two profiles for one program contradict each other: which one goes is the owner's choice.
    ...(theirs ? { hint: "disable theirs first: aa-disable bwrap-userns-restrict" } : {
      fix: "apparmor-profile" as const,
    }),
  };
}

function judgeSetuid(facts: Facts): Finding | null {
  const mode = fact(facts, "bwrap mode");
  if (mode === null) return null;
  const setuid = (Number.parseInt(mode, 8) & 0o4000) !== 0;
  return {
    check: "bwrap.setuid",
    severity: setuid ? "error" : "ok",
    message: setuid ? "/usr/bin/bwrap is setuid root" : "/usr/bin/bwrap has no setuid bit",
    ...(setuid
      ? {
        reason:
          "a flaw in it would be a way to root, and Bureau's nested sandboxes don't work with it",
        // Other programs may rest on it: not for --fix.
        command: "chmod u-s /usr/bin/bwrap",
      }
      : {}),
  };
}

/** Containers put things over parts of /proc; the kernel then refuses a /proc to whoever sees less than all. */
function judgeProc(facts: Facts): Finding {
  const over = (facts.get("/proc/self/mountinfo") ?? "").split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((at) => at.startsWith("/proc/") && at !== "/proc/sys/fs/binfmt_misc");
  if (over.length === 0) return { check: "proc", severity: "ok", message: "/proc is whole" };
  return {
    check: "proc",
    severity: "error",
    message: `parts of /proc are covered: ${over.slice(0, 4).join(", ")}${
      over.length > 4 ? ` and ${over.length - 4} more` : ""
    }`,
    reason: "the kernel gives a sandbox no /proc of its own then",
    hint:
      "this is a container: start it with an unmasked /proc (docker: --security-opt systempaths=unconfined)",
  };
}

function judgeSeccomp(facts: Facts): Finding {
  const actions = fact(facts, "/proc/sys/kernel/seccomp/actions_avail");
  const works = actions?.split(/\s+/).includes("errno") === true;
  return works
    ? { check: "kernel.seccomp", severity: "ok", message: "system calls can be filtered" }
    : {
      check: "kernel.seccomp",
      severity: "error",
      message: "the kernel cannot filter system calls",
      reason: "the filters of agents and services need it",
      hint: "use a kernel with CONFIG_SECCOMP_FILTER",
    };
}

function judgeInotify(facts: Facts): Finding | null {
  const most = numberFact(facts, "/proc/sys/fs/inotify/max_user_instances");
  if (most === null) return null;
  return most >= 128 ? { check: "kernel.inotify", severity: "ok", message: `${most} instances` } : {
    check: "kernel.inotify",
    severity: "warning",
    message: `fs.inotify.max_user_instances is ${most}`,
    reason: "agents' tools that watch files share them, for all agents are one user",
    command: "sysctl -w fs.inotify.max_user_instances=512",
  };
}

function judgePids(facts: Facts): Finding | null {
  const most = numberFact(facts, "/proc/sys/kernel/pid_max");
  if (most === null) return null;
  return most >= 32_768 ? { check: "kernel.pid_max", severity: "ok", message: String(most) } : {
    check: "kernel.pid_max",
    severity: "warning",
    message: `kernel.pid_max is ${most}`,
    reason: "all agents together can use it up",
    command: "sysctl -w kernel.pid_max=4194304",
  };
}
