// SPDX-License-Identifier: Apache-2.0

/** `doctor` as a process, and the shell that mends: with made-up facts, and never on this machine. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { doctor as Result } from "./results.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;

const BROKEN = `${
  JSON.stringify({
    findings: [{ check: "bwrap.run", severity: "error", message: "no sandbox could be made" }],
  })
}
== /proc/sys/kernel/unprivileged_userns_clone
 0
== /proc/sys/kernel/apparmor_restrict_unprivileged_userns
 1
== /proc/sys/kernel/seccomp/actions_avail
 kill_process errno allow
`;

async function doctor(report: string, ...flags: string[]): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "b-" });
  try {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--allow-all", `${ROOT}src/cmd/bureau.ts`],
        ...["--state-dir", dir, "--run-dir", dir, "doctor", "--report", ...flags],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(report));
    await writer.close();
    const { code, stdout, stderr } = await process.output();
    assert.ok(code <= 1, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const checks = async (report: string, ...flags: string[]) =>
  z.parse(Result, JSON.parse(await doctor(report, "--json", ...flags)))!;

Deno.test("doctor --json prints one document of its schema, though there is no Bureau here", async () => {
  const { checks: found, repairs } = await checks(BROKEN);
  const by = new Map(found.map((one) => [one.name, one]));
  assert.equal(by.get("bwrap.run")!.status, "fail");
  assert.equal(by.get("kernel.userns")!.repair!.machine, true);
  assert.equal(by.get("kernel.seccomp")!.status, "pass");
  assert.match(by.get("apparmor")!.guide, /^docs\/guide\/troubleshooting\.md#/);
  assert.deepEqual(repairs, []);
  // What stands on a Bureau that was never started is skipped, and says why.
  const homeserver = found.filter(({ group }) => group === "homeserver" || group === "rooms");
  assert.ok(homeserver.every(({ status }) => status === "skip"), JSON.stringify(homeserver));
  assert.match(by.get("sync")!.detail, /never started/);
});

Deno.test("doctor --fixes prints for the shell what --fix does, and of the machine only with --yes", async () => {
  const ids = async (report: string, ...flags: string[]) =>
    (await doctor(report, "--fixes", ...flags)).split("\n").filter(Boolean)
      .map((line) => line.split("\t")[0]);
  const root = `${BROKEN}== id -u\n 0\n`;
  assert.deepEqual(await ids(root, "--yes"), ["userns-clone", "apparmor-profile"]);
  assert.deepEqual(await ids(root), []);
  assert.deepEqual(await ids(`${BROKEN}== id -u\n 1000\n`, "--yes"), []);
  assert.deepEqual(await ids('{"findings":[]}\n== id -u\n 0\n', "--yes"), []);
});

Deno.test("doctor --dry-run says of each repair why it is left", async () => {
  const { repairs } = await checks(BROKEN, "--dry-run");
  assert.deepEqual(repairs.map(({ name, outcome }) => [name, outcome]), [
    ["kernel.userns", "left"],
    ["apparmor", "left"],
  ]);
  assert.ok(repairs.every(({ why }) => /--fix --yes/.test(why!)));
});

Deno.test("no report of a launcher is a finding, with what it said", async () => {
  const { checks: found } = await checks("bwrap: no\n");
  const launcher = found.find(({ name }) => name === "launcher")!;
  assert.equal(launcher.status, "fail");
  assert.match(launcher.detail, /bwrap: no/);
});

/** `mend …` of tasks/doctor.sh; every command that changes a machine is one that only writes itself down. */
async function mend(
  words: readonly string[],
  setUp: (dir: string) => Promise<void> = async () => {},
) {
  const dir = await Deno.makeTempDir({ prefix: "b-" });
  try {
    await Deno.mkdir(`${dir}/bin`);
    for (
      const name of ["sysctl", "install", "apparmor_parser", "chmod", "chown", "rm", "setpriv"]
    ) {
      const script = `#!/bin/sh\necho "${name} $*" >>"${dir}/done"\n`;
      await Deno.writeTextFile(`${dir}/bin/${name}`, script, { mode: 0o755 });
    }
    for (const name of ["dirname", "stat", "id"]) {
      await Deno.symlink(`/usr/bin/${name}`, `${dir}/bin/${name}`);
    }
    await Deno.mkdir(`${dir}/s`);
    await setUp(`${dir}/s`);
    const source = await Deno.readTextFile(`${ROOT}tasks/doctor.sh`);
    const functions = ["mend", "ours", "as_owner"].map((name) => {
      const found = new RegExp(`^${name}\\(\\) \\{\\n[^]*?^\\}$`, "m").exec(source);
      assert.ok(found, `tasks/doctor.sh has no ${name}()`);
      return found[0];
    });
    const { success, stderr } = await new Deno.Command("/bin/sh", {
      args: [
        ...["-eu", "-c"],
        `socket_state() { read -r state <"$1" || true; printf %s "$state"; }\n${
          functions.join("\n")
        }\nmend "$@"`,
        ...["sh", ...words.map((word) => word.replace("@", `${dir}/s`))],
      ],
      clearEnv: true,
      // Of the machine's own only those are in reach that look.
      env: { PATH: `${dir}/bin`, BUREAU_ROOT: "/checkout", STATE: `${dir}/s`, RUN: `${dir}/r` },
      stdin: "null",
      stderr: "piped",
    }).output();
    const text = await Deno.readTextFile(`${dir}/done`).catch(() => "");
    return {
      success,
      did: text.replaceAll(`${dir}/s`, "@").split("\n").filter(Boolean),
      said: new TextDecoder().decode(stderr),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const FIXES: readonly (readonly [fix: string, commands: readonly string[]])[] = [
  ["userns-clone", ["sysctl -q -w kernel.unprivileged_userns_clone=1"]],
  ["max-userns", ["sysctl -q -w user.max_user_namespaces=15000"]],
  ["apparmor-profile", [
    "install -m 0644 /checkout/deploy/apparmor/bureau-bwrap /etc/apparmor.d/bureau-bwrap",
    "apparmor_parser -r /etc/apparmor.d/bureau-bwrap",
  ]],
];

Deno.test("doctor --fix: each fix runs its commands and no other", async () => {
  for (const [fix, commands] of FIXES) assert.deepEqual((await mend([fix])).did, commands);
  const unknown = await mend(["rm-everything"]);
  assert.deepEqual([unknown.success, unknown.did], [false, []]);
});

Deno.test("doctor --fix touches what is Bureau's, and follows no link out of it", async () => {
  const file = (dir: string) => Deno.writeTextFile(`${dir}/key`, "");
  assert.deepEqual((await mend(["mode", "0600", "@/key"], file)).did, ["chmod 0600 @/key"]);
  for (const path of ["/etc/passwd", "@/../etc", "@/gone"]) {
    const done = await mend(["mode", "0600", path], file);
    assert.deepEqual([done.success, done.did], [false, []], path);
  }
  const link = (dir: string) => Deno.symlink("/etc/passwd", `${dir}/key`);
  assert.deepEqual((await mend(["mode", "0600", "@/key"], link)).did, []);
  assert.deepEqual((await mend(["owner", "0:0", "@/key"], link)).did, []);
});

Deno.test("doctor --fix takes a socket away only while nobody listens", async () => {
  const socket = (state: string) => (dir: string) => Deno.writeTextFile(`${dir}/a.sock`, state);
  assert.deepEqual((await mend(["stale-socket", "@/a.sock"], socket("refused"))).did, [
    "rm -f @/a.sock",
  ]);
  const alive = await mend(["stale-socket", "@/a.sock"], socket("listening"));
  assert.deepEqual([alive.success, alive.did], [false, []]);
});
