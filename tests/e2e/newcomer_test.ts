// SPDX-License-Identifier: Apache-2.0

/**
 * What a newcomer can do wrong, or find wrong, on the guide's first page: each error says what to do. Others stand where their
 * rigs are: a port that is taken, a full disk and a second `up` in bad_input_test.ts; a session that ended in login_test.ts and
 * security_test.ts; no bubblewrap, no npm and no Deno in tests/slow/bare_machine_test.ts; another directory in tests/docs/tasks_test.ts.
 */
import assert from "node:assert/strict";
import { freePort, ROOT, run, skip } from "./harness.ts";

/** `use` with a directory that nobody has used; it is removed. */
async function inTemporary(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-new-" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a command that is mistyped is answered with the one that was meant", async () => {
  await inTemporary(async (dir) => {
    const places = ["--state-dir", `${dir}/s`, "--run-dir", `${dir}/r`];
    for (
      const [typed, meant] of [[["stauts"], "status"], [["agent", "lst"], "list"], [
        ["matrix", "send", "--rom", "x"],
        "--help",
      ]] as const
    ) {
      const done = await run("sh", ["tasks/bureau", ...typed, ...places]);
      assert.equal(done.code, 2, done.stdout + done.stderr);
      assert.match(done.stderr, new RegExp(`^error: Cannot run[^]*^hint: .*${meant}`, "m"));
    }
    // Nothing was ever started here: how it is, and where else there may be one.
    const early = await run("sh", [
      "tasks/bureau",
      "matrix",
      "messages",
      "agent/scribe",
      ...places,
    ]);
    assert.equal(early.code, 3, early.stdout + early.stderr);
    assert.match(early.stderr, /^hint: .*deno task up.*--state-dir.*bureau login/m);
  });
});

Deno.test("a Deno that is too old is named, with what installs another one", async (t) => {
  for (const path of ["/usr/bin/deno", "/bin/deno"]) {
    const there = await Deno.stat(path).then(() => true, () => false);
    if (there) return await skip(t, `${path} would be found`);
  }
  await inTemporary(async (dir) => {
    await Deno.writeTextFile(`${dir}/deno`, "#!/bin/sh\necho 1.46.3 /usr/bin/deno\n", {
      mode: 0o755,
    });
    // A copy: this checkout may have one of its own.
    assert.equal((await run("cp", ["-r", `${ROOT}/tasks`, `${dir}/tasks`])).code, 0);
    const done = await run("env", [
      ...["-i", `HOME=${dir}`, `PATH=${dir}:/usr/bin:/bin`],
      ...["sh", `${dir}/tasks/up`, "--state-dir", `${dir}/s`, "--run-dir", `${dir}/r`],
    ], dir);
    assert.equal(done.code, 1, done.stdout + done.stderr);
    assert.match(done.stderr, /^error: Cannot find Deno 2\.9 or newer; .*is 1\.46\.3$/m);
    assert.match(done.stderr, /^hint: .*sh tasks\/bootstrap up/m);
  });
});

Deno.test("without a network the first build says what it wanted, and from where", async (t) => {
  const alone = Deno.uid() === 0 ? ["--net"] : ["--user", "--map-current-user", "--net"];
  const probe = await run("unshare", [...alone, "true"]);
  if (probe.code !== 0) {
    return await skip(t, `no network namespace can be made here: ${probe.stderr.trim()}`);
  }
  await inTemporary(async (dir) => {
    const parts = ["src", "agent", "tasks", "deno.json", "deno.lock"].map((name) =>
      `${ROOT}/${name}`
    );
    assert.equal((await run("cp", ["-r", ...parts, dir])).code, 0);
    const done = await run("unshare", [
      ...alone,
      ...["env", `HOME=${dir}`, `DENO_DIR=${dir}/cache`, `BUREAU_DENO=${Deno.execPath()}`],
      ...["sh", `${dir}/tasks/up`, "--detach", "--state-dir", `${dir}/s`, "--run-dir", `${dir}/r`],
    ], dir);
    assert.equal(done.code, 1, done.stdout + done.stderr);
    assert.match(done.stderr, /^error: .*registry\.npmjs\.org/m);
    assert.match(done.stderr, /^error: Cannot build the runtime\nhint: .*offline.*HTTPS_PROXY/m);
  });
});

Deno.test("a kernel that gives no user namespaces is named as such, with the setting that does", async (t) => {
  if (Deno.uid() === 0) {
    return await skip(
      t,
      "root's processes take users that a user namespace has not; as an ordinary user it runs",
    );
  }
  // The limit is of a namespace of the test's own; what starts in it has no capability left there.
  const without = "echo 0 >/proc/sys/user/max_user_namespaces && " +
    'exec setpriv --ambient-caps=-all --inh-caps=-all --bounding-set=-all "$@"';
  const inside = ["--user", "--map-current-user", "--keep-caps", "sh", "-c", without, "sh"];
  const probe = await run("unshare", [...inside, "true"]);
  if (probe.code !== 0) {
    return await skip(t, `no such namespace can be made here: ${probe.stderr.trim()}`);
  }
  await inTemporary(async (dir) => {
    const done = await run("unshare", [
      ...inside,
      ...[
        "sh",
        `${ROOT}/tasks/up`,
        "--detach",
        "--no-agent",
        "--listen",
        `127.0.0.1:${freePort()}`,
      ],
      ...["--state-dir", `${dir}/s`, "--run-dir", `${dir}/r`],
    ]);
    const all = done.stdout + done.stderr;
    assert.equal(done.code, 1, all);
    assert.match(done.stderr, /missing +a sandbox cannot be made here: .*namespaces/, all);
    assert.match(done.stderr, /sysctl -w user\.max_user_namespaces=/, all);
    // What can't be known without a sandbox is not said to be missing.
    assert.doesNotMatch(all, /tmux/);
  });
});
