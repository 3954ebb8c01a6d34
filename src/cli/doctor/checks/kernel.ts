// SPDX-License-Identifier: Apache-2.0

/** What the kernel's own files say against sandboxes here. Pure, so that other machines can be tried as fixtures. */
import { fact, type Facts, numberFact } from "../../../lib/hwinfo/mod.ts";
import { type Finding, pass, type ShellRepair } from "../check.ts";

const NAMESPACES = "every sandbox is made of user namespaces that an ordinary user may make";
const PROFILE = "/etc/apparmor.d/bureau-bwrap";

/** Of the whole machine. */
const repair = (id: ShellRepair["id"], what: string): ShellRepair => ({
  by: "shell",
  id,
  args: [],
  what,
  root: true,
  machine: true,
});

export function judgeKernel(facts: Facts): Finding[] {
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
      name: "kernel.userns",
      status: "fail",
      detail: "kernel.unprivileged_userns_clone is 0: only root may make user namespaces",
      reason: NAMESPACES,
      repair: repair("userns-clone", "sysctl -w kernel.unprivileged_userns_clone=1"),
    };
  }
  const most = numberFact(facts, "/proc/sys/user/max_user_namespaces");
  // Two for each agent, one for its proxy, and throw-away ones.
  if (most !== null && most < 64) {
    return {
      name: "kernel.userns",
      status: most < 4 ? "fail" : "warn",
      detail: `user.max_user_namespaces is ${most}`,
      reason: `${NAMESPACES}, four for each agent`,
      repair: repair("max-userns", "sysctl -w user.max_user_namespaces=15000"),
    };
  }
  return pass("kernel.userns", "ordinary users may make namespaces");
}

function judgeAppArmor(facts: Facts): Finding {
  const name = "apparmor";
  if (numberFact(facts, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") !== 1) {
    return pass(name, "AppArmor does not restrict user namespaces");
  }
  if (facts.has(PROFILE)) {
    return pass(name, "AppArmor has a profile for bwrap (bureau-bwrap)");
  }
  const theirs = facts.has("/etc/apparmor.d/bwrap-userns-restrict");
  return {
    name,
    status: "fail",
    detail: "AppArmor forbids user namespaces to programs without a profile, bwrap among them",
    reason: theirs
      ? "/etc/apparmor.d/bwrap-userns-restrict lets bwrap make one, but not a sandbox within it"
      : NAMESPACES,
    // Two profiles for one program contradict each other: which one goes is the owner's choice.
    ...(theirs ? { hint: "disable theirs first: aa-disable bwrap-userns-restrict" } : {
      repair: repair(
        "apparmor-profile",
        `install -m 0644 deploy/apparmor/bureau-bwrap /etc/apparmor.d/ && apparmor_parser -r ${PROFILE}`,
      ),
    }),
  };
}

function judgeSetuid(facts: Facts): Finding | null {
  const mode = fact(facts, "bwrap mode");
  if (mode === null) return null;
  const setuid = (Number.parseInt(mode, 8) & 0o4000) !== 0;
  return {
    name: "bwrap.setuid",
    status: setuid ? "fail" : "pass",
    detail: setuid ? "/usr/bin/bwrap is setuid root" : "/usr/bin/bwrap has no setuid bit",
    ...(setuid
      ? {
        reason:
          "a flaw in it would be a way to root, and Bureau's nested sandboxes don't work with it",
        // Other programs may rest on it: not for --fix.
        hint: "chmod u-s /usr/bin/bwrap",
      }
      : {}),
  };
}

/** Containers put things over parts of /proc; the kernel then refuses a /proc to whoever sees less than all. */
function judgeProc(facts: Facts): Finding {
  const over = (facts.get("/proc/self/mountinfo") ?? "").split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((at) => at.startsWith("/proc/") && at !== "/proc/sys/fs/binfmt_misc");
  if (over.length === 0) return pass("proc", "/proc is whole");
  return {
    name: "proc",
    status: "fail",
    detail: `parts of /proc are covered: ${over.slice(0, 4).join(", ")}${
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
  return works ? pass("kernel.seccomp", "system calls can be filtered") : {
    name: "kernel.seccomp",
    status: "fail",
    detail: "the kernel cannot filter system calls",
    reason: "the filters of agents and services need it",
    hint: "use a kernel with CONFIG_SECCOMP_FILTER",
  };
}

function judgeInotify(facts: Facts): Finding | null {
  const most = numberFact(facts, "/proc/sys/fs/inotify/max_user_instances");
  if (most === null) return null;
  return most >= 128 ? pass("kernel.inotify", `${most} instances`) : {
    name: "kernel.inotify",
    status: "warn",
    detail: `fs.inotify.max_user_instances is ${most}`,
    reason: "agents' tools that watch files share them, for all agents are one user",
    hint: "sysctl -w fs.inotify.max_user_instances=512",
  };
}

function judgePids(facts: Facts): Finding | null {
  const most = numberFact(facts, "/proc/sys/kernel/pid_max");
  if (most === null) return null;
  return most >= 32_768 ? pass("kernel.pid_max", String(most)) : {
    name: "kernel.pid_max",
    status: "warn",
    detail: `kernel.pid_max is ${most}`,
    reason: "all agents together can use it up",
    hint: "sysctl -w kernel.pid_max=4194304",
  };
}
