// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Finding } from "../check.ts";
import { judgeKernel } from "./kernel.ts";

/** A Debian 12 that lacks nothing. */
const GOOD = new Map([
  ["/proc/sys/kernel/unprivileged_userns_clone", "1"],
  ["/proc/sys/user/max_user_namespaces", "96365"],
  ["/proc/sys/kernel/seccomp/actions_avail", "kill_process kill_thread trap errno log allow"],
  ["/proc/sys/fs/inotify/max_user_instances", "128"],
  ["/proc/sys/kernel/pid_max", "4194304"],
  ["/proc/self/mountinfo", "24 30 0:22 / /proc rw,nosuid - proc proc rw"],
  ["bwrap mode", "755"],
]);

function bad(change: Record<string, string>, without: string[] = []) {
  const facts = new Map([...GOOD, ...Object.entries(change)]);
  for (const path of without) facts.delete(path);
  return judgeKernel(facts).filter((finding) => finding.status !== "pass");
}

function shell(finding: Finding | undefined) {
  assert.ok(finding?.repair?.by === "shell");
  // Nothing of it is done unless that was asked for.
  assert.ok(finding.repair.machine && finding.repair.root);
  return finding.repair;
}

Deno.test("a machine that lacks nothing has nothing to tell", () => {
  assert.deepEqual(bad({}), []);
  // Other distributions have neither of these switches.
  assert.deepEqual(bad({}, ["/proc/sys/kernel/unprivileged_userns_clone"]), []);
});

Deno.test("Debian 11 and hardened kernels: the switch that forbids namespaces, with its command", () => {
  const [finding, ...rest] = bad({ "/proc/sys/kernel/unprivileged_userns_clone": "0" });
  assert.deepEqual(rest, []);
  assert.equal(finding!.status, "fail");
  assert.equal(shell(finding).what, "sysctl -w kernel.unprivileged_userns_clone=1");
  assert.equal(shell(finding).id, "userns-clone");
  const [none] = bad({ "/proc/sys/user/max_user_namespaces": "0" });
  assert.equal(none!.status, "fail");
  assert.equal(shell(none).id, "max-userns");
});

Deno.test("Ubuntu 24.04: AppArmor's restriction, mended by a profile, never by switching it off", () => {
  const sysctl = { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1" };
  const [finding] = bad(sysctl);
  assert.equal(finding!.name, "apparmor");
  assert.equal(shell(finding).id, "apparmor-profile");
  assert.match(shell(finding).what, /apparmor_parser -r/);
  assert.deepEqual(bad({ ...sysctl, "/etc/apparmor.d/bureau-bwrap": "profile" }), []);
  const [theirs] = bad({ ...sysctl, "/etc/apparmor.d/bwrap-userns-restrict": "profile" });
  assert.equal(theirs!.repair, undefined);
  assert.match(theirs!.hint!, /aa-disable/);
});

Deno.test("a setuid bwrap is an error that --fix leaves to the owner", () => {
  const [finding] = bad({ "bwrap mode": "4755" });
  assert.equal(finding!.name, "bwrap.setuid");
  assert.equal(finding!.repair, undefined);
  assert.equal(finding!.hint, "chmod u-s /usr/bin/bwrap");
});

Deno.test("a container's masked /proc is seen", () => {
  const [finding] = bad({
    "/proc/self/mountinfo": "24 30 0:22 / /proc rw - proc proc rw\n" +
      "25 24 0:5 /null /proc/kcore rw - devtmpfs udev rw\n26 24 0:22 /sys /proc/sys ro - proc proc ro",
  });
  assert.equal(finding!.name, "proc");
  assert.match(finding!.detail, /\/proc\/kcore, \/proc\/sys/);
  assert.match(finding!.hint!, /systempaths=unconfined/);
});

Deno.test("too few of what all agents share, and a kernel without filters, are told", () => {
  const found = bad({
    "/proc/sys/fs/inotify/max_user_instances": "16",
    "/proc/sys/kernel/pid_max": "4096",
  }, ["/proc/sys/kernel/seccomp/actions_avail"]);
  assert.deepEqual(found.map((one) => [one.name, one.status]), [
    ["kernel.seccomp", "fail"],
    ["kernel.inotify", "warn"],
    ["kernel.pid_max", "warn"],
  ]);
});
