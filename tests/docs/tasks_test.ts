// SPDX-License-Identifier: Apache-2.0

/** The tasks where a stranger stands: odd paths, other directories, a bare environment, an old Deno in the way. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { type Finished, freePort, makeRepository, ROOT, run } from "../e2e/harness.ts";

const decoder = new TextDecoder();

async function inTemporary(use: (base: string) => Promise<void>): Promise<void> {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  await Deno.chmod(base, 0o711);
  try {
    await use(base);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

/** Runs `script` in `cwd` with nothing in the environment but `env`. */
async function bare(cwd: string, env: Record<string, string>, script: string): Promise<Finished> {
  const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
    args: ["-c", script],
    cwd,
    env,
    clearEnv: true,
    stdin: "null",
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** What a fetching Deno needs besides: where its packages are, how this machine reaches more. */
function denoEnvironment(): Record<string, string> {
  const env: Record<string, string> = { BUREAU_DENO: Deno.execPath(), PATH: "/usr/bin:/bin" };
  for (const name of ["HOME", "DENO_DIR", "NODE_EXTRA_CA_CERTS", "DENO_TLS_CA_STORE"]) {
    const value = Deno.env.get(name);
    if (value !== undefined) env[name] = value;
  }
  return env;
}

Deno.test("up works from anywhere when the checkout's and the state's paths hold blanks and patterns", async () => {
  await inTemporary(async (base) => {
    const checkout = `${base}/my [own] bureau`;
    await Deno.mkdir(checkout);
    const parts = ["tasks", "src", "agent", "deno.json", "deno.lock"];
    const copied = await run("cp", ["-R", ...parts, checkout]);
    assert.equal(copied.code, 0, copied.stderr);
    const directories = `--state-dir '${base}/st [a] te' --run-dir '${base}/r n'`;
    const ports = `--listen 127.0.0.1:${freePort()} --authority 127.0.0.1:${freePort()}`;
    const env = denoEnvironment();
    const task = (name: string, args: string) =>
      bare("/", env, `sh '${checkout}/tasks/${name}' ${args} ${directories}`);
    try {
      const up = await task("up", `--detach --no-agent ${ports}`);
      assert.equal(up.code, 0, up.stdout + up.stderr);
      const shown = /^ +status +(sh .*)$/m.exec(up.stdout)?.[1];
      assert.ok(shown !== undefined, up.stdout);
      // Pasted as it is shown.
      const status = await bare(checkout, env, shown);
      assert.equal(status.code, 0, status.stdout + status.stderr);
      assert.match(status.stdout, /^daemon +running/m);
    } finally {
      const down = await task("up", "--down");
      assert.equal(down.code, 0, down.stdout + down.stderr);
    }
  });
});

Deno.test("tasks find a newer Deno behind an older one in PATH, and name the older one where it is alone", async () => {
  await inTemporary(async (base) => {
    await Deno.writeTextFile(
      `${base}/deno`,
      `#!/bin/sh\n[ "$1" = --version ] && echo "deno 2.1.4" || echo "2.1.4 ${base}/deno"\n`,
      { mode: 0o755 },
    );
    // Not the tasks' own folder, where bootstrap may have installed one.
    await Deno.mkdir(`${base}/checkout/tasks`, { recursive: true });
    await Deno.copyFile(`${ROOT}/tasks/lib.sh`, `${base}/checkout/tasks/lib.sh`);
    const look = (path: string) =>
      bare(
        `${base}/checkout`,
        { HOME: base, PATH: path },
        `exec sh -c '. tasks/lib.sh; find_deno; echo "$DENO"' tasks/up`,
      );
    const own = Deno.execPath().replace(/\/[^/]*$/, "");
    const both = await look(`${base}:${own}:/usr/bin:/bin`);
    assert.equal(both.stdout.trim(), Deno.execPath(), both.stderr);
    await Deno.mkdir(`${base}/bin`);
    for (const name of ["sh", "cat", "dirname", "sed", "tr", "id"]) {
      await Deno.symlink(`/usr/bin/${name}`, `${base}/bin/${name}`);
    }
    const old = await look(`${base}:${base}/bin`);
    assert.equal(old.code, 1, old.stdout);
    assert.match(old.stderr, /^error: Cannot find Deno 2\.9 or newer; .*\/deno is 2\.1\.4$/m);
    assert.match(old.stderr, /^hint: .*sh tasks\/bootstrap up/m);
  });
});

Deno.test("a task without HOME finds it, or says that it has none", async () => {
  const done = await bare(
    ROOT,
    { PATH: "/usr/bin:/bin" },
    `exec sh -c '. tasks/lib.sh; echo "home $HOME"' tasks/up`,
  );
  if (done.code === 0) assert.match(done.stdout, /^home \/./);
  else assert.match(done.stderr, /^error: Cannot find your home directory: HOME is not set/m);
});

Deno.test("control groups go also when somebody has removed the run directory", async (t) => {
  await inTemporary(async (base) => {
    // Version 2 moves the shell itself into the place, and `up` has the kernel or systemd remove it.
    const done = await bare(
      ROOT,
      { PATH: "/usr/bin:/bin", HOME: base },
      `exec sh -c '. "$0"; RUN=$1; mkdir "$RUN"; [ ! -e /sys/fs/cgroup/cgroup.controllers ] || exit 0
        make_cgroups; for dir in $(cgroup_dirs); do ls -d "$dir"; done; rm -r "$RUN"
        remove_cgroups $$; echo removed; for dir in $(cgroup_dirs); do [ ! -d "$dir" ] || echo "$dir"; done' \
        '${ROOT}/tasks/lib.sh' '${base}/r'`,
    );
    assert.equal(done.code, 0, done.stderr);
    const [made, left] = done.stdout.split("removed\n");
    if (made === "") return await skip(t, "no control groups of version 1 can be made here");
    assert.match(made!, /\/bureau-\d+\n/);
    assert.doesNotMatch(left!, /^\/sys/m);
  });
});

Deno.test("--repo means the repository around a directory, as seen from where the person stands", async () => {
  await inTemporary(async (base) => {
    await makeRepository(`${base}/one`);
    const find = (from: string, path: string, env: Record<string, string> = {}) =>
      bare(
        from,
        { PATH: "/usr/bin:/bin", HOME: base, ...env },
        `exec sh -c '. "$0"; repo_from_caller "$1"' '${ROOT}/tasks/lib.sh' '${path}'`,
      );
    const repo = await Deno.realPath(`${base}/one`);
    assert.equal((await find(repo, ".")).stdout.trim(), repo);
    assert.equal((await find(`${repo}/src`, ".")).stdout.trim(), repo);
    assert.equal((await find(base, "one/src")).stdout.trim(), repo);
    assert.equal((await find("/", "src", { INIT_CWD: repo })).stdout.trim(), repo);
    assert.equal((await find("/", `${repo}/src`)).stdout.trim(), repo);
    const none = await find(base, "two");
    assert.equal(none.code, 1);
    assert.match(none.stderr, /^error: Cannot find "two": no such directory$/m);
  });
});
