// SPDX-License-Identifier: Apache-2.0

/** `doctor` as a process, and the shell that mends: with made-up facts, and never on this machine. */
import assert from "node:assert/strict";
import * as z from "zod/mini";

const ROOT = new URL("../../../", import.meta.url).pathname;

/** What `doctor --json` prints. */
const Report = z.strictObject({
  findings: z.array(z.strictObject({
    check: z.string(),
    severity: z.enum(["ok", "warning", "error"]),
    message: z.string(),
    reason: z.optional(z.string()),
    command: z.optional(z.string()),
    fix: z.optional(z.enum(["userns-clone", "max-userns", "apparmor-profile"])),
    hint: z.optional(z.string()),
  })),
  inventory: z.looseObject({ cpu: z.looseObject({ cores: z.number() }), gpus: z.array(z.any()) }),
});

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
    const { success, stdout, stderr } = await process.output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("doctor --json prints one document of its schema: what was tried and what was judged", async () => {
  const { findings } = z.parse(Report, JSON.parse(await doctor(BROKEN, "--json")));
  const by = new Map(findings.map((finding) => [finding.check, finding]));
  assert.equal(by.get("bwrap.run")!.severity, "error");
  assert.equal(by.get("kernel.userns")!.fix, "userns-clone");
  assert.equal(by.get("apparmor")!.fix, "apparmor-profile");
  assert.equal(by.get("kernel.seccomp")!.severity, "ok");
});

Deno.test("doctor --fixes prints what --fix would do, and nothing on a machine that lacks nothing", async () => {
  const fixes = (text: string) =>
    text.split("\n").map((one) => one.replaceAll('"', "")).filter(Boolean);
  assert.deepEqual(fixes(await doctor(BROKEN, "--fixes")), ["userns-clone", "apparmor-profile"]);
  assert.deepEqual(fixes(await doctor('{"findings":[]}\n', "--fixes")), []);
});

Deno.test("no report of a launcher is an error finding, with what it said", async () => {
  const { findings } = z.parse(Report, JSON.parse(await doctor("bwrap: no\n", "--json")));
  const launcher = findings.find((finding) => finding.check === "launcher")!;
  assert.equal(launcher.severity, "error");
  assert.equal(launcher.reason, "bwrap: no");
});

/** `mend FIX` of tasks/doctor.sh; every command that changes a machine is one that only writes itself down. */
async function mend(fix: string, uid: number, fails = false) {
  const dir = await Deno.makeTempDir({ prefix: "b-" });
  try {
    for (const name of ["sysctl", "install", "apparmor_parser"]) {
      const script = `#!/bin/sh\necho "${name} $*" >>"${dir}/done"\n${fails ? "exit 1" : ""}\n`;
      await Deno.writeTextFile(`${dir}/${name}`, script, { mode: 0o755 });
    }
    await Deno.symlink("/usr/bin/sed", `${dir}/sed`);
    await Deno.writeTextFile(`${dir}/id`, `#!/bin/sh\necho ${uid}\n`, { mode: 0o755 });
    const source = await Deno.readTextFile(`${ROOT}tasks/doctor.sh`);
    const functions = ["mend", "install_profile"].map((name) => {
      const found = new RegExp(`^${name}\\(\\) \\{\\n[^]*?^\\}$`, "m").exec(source);
      assert.ok(found, `tasks/doctor.sh has no ${name}()`);
      return found[0];
    });
    const { stderr } = await new Deno.Command("/bin/sh", {
      args: ["-eu", "-c", `${functions.join("\n")}\nmend "$1"`, "sh", fix],
      clearEnv: true,
      // Of the machine's own only sed is in reach.
      env: { PATH: dir, BUREAU_ROOT: "/checkout" },
      stdin: "null",
      stderr: "piped",
    }).output();
    return {
      did: (await Deno.readTextFile(`${dir}/done`).catch(() => "")).split("\n").filter(Boolean),
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

Deno.test("doctor --fix: each fix runs its commands as root, and only tells them to others", async () => {
  for (const [fix, commands] of FIXES) {
    assert.deepEqual((await mend(fix, 0)).did, commands);
    const other = await mend(fix, 1000);
    assert.deepEqual(other.did, []);
    assert.match(other.said, /^needs root: /);
  }
  assert.deepEqual((await mend("rm-everything", 0)).did, []);
});

Deno.test("doctor --fix goes on after a fix that fails", async () => {
  // A profile that could not be installed is not loaded.
  const failed = await mend("apparmor-profile", 0, true);
  assert.deepEqual(failed.did, [FIXES[2]![1][0]]);
  assert.match(failed.said, /^failed: /);
});
