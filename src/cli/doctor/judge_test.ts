// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { judgeMachine } from "./judge.ts";

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
  return judgeMachine(facts).filter((finding) => finding.severity !== "ok");
}

Deno.test("a machine that lacks nothing has no finding but ok", () => {
  assert.deepEqual(bad({}), []);
  // Other distributions have neither of these switches.
  assert.deepEqual(bad({}, ["/proc/sys/kernel/unprivileged_userns_clone"]), []);
});

Deno.test("Debian 11 and hardened kernels: the switch that forbids namespaces, with its command", () => {
  const [finding, ...rest] = bad({ "/proc/sys/kernel/unprivileged_userns_clone": "0" });
  assert.deepEqual(rest, []);
  assert.equal(finding!.severity, "error");
  assert.equal(finding!.command, "sysctl -w kernel.unprivileged_userns_clone=1");
  assert.equal(finding!.fix, "userns-clone");
  const [none] = bad({ "/proc/sys/user/max_user_namespaces": "0" });
  assert.equal(none!.severity, "error");
  assert.equal(none!.fix, "max-userns");
});

Deno.test("Ubuntu 24.04: AppArmor's restriction, mended by a profile, never by switching it off", () => {
  const sysctl = { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1" };
  const [finding] = bad(sysctl);
  assert.equal(finding!.check, "apparmor");
  assert.equal(finding!.fix, "apparmor-profile");
  assert.match(finding!.command!, /apparmor_parser -r/);
  assert.deepEqual(bad({ ...sysctl, "/etc/apparmor.d/bureau-bwrap": "profile" }), []);
  const [theirs] = bad({ ...sysctl, "/etc/apparmor.d/bwrap-userns-restrict": "profile" });
  assert.equal(theirs!.fix, undefined);
  assert.match(theirs!.hint!, /aa-disable/);
});

Deno.test("a setuid bwrap is an error that --fix leaves to the owner", () => {
  const [finding] = bad({ "bwrap mode": "4755" });
  assert.equal(finding!.check, "bwrap.setuid");
  assert.equal(finding!.fix, undefined);
  assert.equal(finding!.command, "chmod u-s /usr/bin/bwrap");
});

Deno.test("a container's masked /proc is seen", () => {
  const [finding] = bad({
    "/proc/self/mountinfo": "24 30 0:22 / /proc rw - proc proc rw\n" +
      "25 24 0:5 /null /proc/kcore rw - devtmpfs udev rw\n26 24 0:22 /sys /proc/sys ro - proc proc ro",
  });
  assert.equal(finding!.check, "proc");
  assert.match(finding!.message, /\/proc\/kcore, \/proc\/sys/);
  assert.match(finding!.hint!, /systempaths=unconfined/);
});

Deno.test("too few of what all agents share, and a kernel without filters, are told", () => {
  const found = bad({
    "/proc/sys/fs/inotify/max_user_instances": "16",
    "/proc/sys/kernel/pid_max": "4096",
  }, ["/proc/sys/kernel/seccomp/actions_avail"]);
  assert.deepEqual(found.map((one) => [one.check, one.severity]), [
    ["kernel.seccomp", "error"],
    ["kernel.inotify", "warning"],
    ["kernel.pid_max", "warning"],
  ]);
});
