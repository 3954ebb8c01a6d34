// SPDX-License-Identifier: Apache-2.0

/**
 * The units of deploy/systemd: systemd finds no fault in them, and what they say, word for word, runs the launcher
 * and the daemon as two users who are closed to each other.
 */
import assert from "node:assert/strict";
import { launcherApi } from "../../src/launcher/api.ts";
import { createClient } from "../../src/lib/http/mod.ts";
import { denoArguments, parseGrants } from "../../src/lib/process/mod.ts";
import { rootIdentities } from "../../src/supervisor/directories.ts";
import { lacks } from "../../src/lib/testing/skip.ts";
import {
  type Bureau,
  commandLine,
  eventually,
  processesOf,
  ROOT,
  run,
  skip,
  step,
  withBureau,
} from "./harness.ts";

const UNITS = `${ROOT}/deploy/systemd`;
const IDS = (() => {
  const { homeserver, launcher, daemon, web } = rootIdentities("");
  return {
    "bureau-homeserver": homeserver.uid,
    "bureau-launcher": launcher.uid,
    "bureau-daemon": daemon.uid,
    "bureau-web": web.uid,
    bureau: launcher.gid,
    root: 0,
  };
})() as Record<string, number>;

/** Every setting of a unit, the last of a name. */
async function settings(name: string): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(`${UNITS}/bureau-${name}.service`);
  return Object.fromEntries(
    [...text.matchAll(/^(\w+)=(.*)$/gm)].map(([, key, value]) => [key, value]),
  );
}

interface Unit {
  readonly process: Deno.ChildProcess;
  readonly log: () => string;
}

/** What systemd would do of a unit that matters here, with other directories. */
async function startUnit(
  bureau: Bureau,
  name: "launcher" | "daemon" | "web",
  more: Record<string, string> = {},
): Promise<Unit> {
  const unit = await settings(name);
  const machine = JSON.parse(
    await Deno.readTextFile(`${bureau.stateDir}/operator/machine-session.json`),
  ) as { user_id: string; server_name: string };
  const [program, role] = unit["ExecStart"]!.split(" ");
  assert.equal(program, "/usr/lib/bureau/bureau-role");
  assert.equal(unit["NoNewPrivileges"], "yes");
  assert.equal(unit["CapabilityBoundingSet"], "");
  const input = unit["StandardInput"] === undefined
    ? "/dev/null"
    : unit["StandardInput"].replace("file:/etc/bureau", `${bureau.stateDir}/operator`);
  // The shell, as root, opens what the unit's user may not.
  const script =
    'umask "$1"; core=$2; shift 2; exec <"$1"; shift; exec prlimit "--core=$core" -- "$@"';
  const process = new Deno.Command("/bin/sh", {
    args: [
      "-c",
      script,
      "sh",
      unit["UMask"]!,
      unit["LimitCORE"]!,
      input,
      "setpriv",
      `--reuid=${IDS[unit["User"]!]}`,
      `--regid=${IDS[unit["Group"]!]}`,
      "--clear-groups",
      "--no-new-privs",
      "--inh-caps=-all",
      "--bounding-set=-all",
      "--",
      `${bureau.stateDir}/bureau-role`,
      role!,
    ],
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      BUREAU_RUNTIME_DIR: `${bureau.stateDir}/runtime`,
      BUREAU_STATE_DIR: bureau.stateDir,
      BUREAU_RUN_DIR: bureau.runDir,
      BUREAU_MACHINE: machine.user_id,
      BUREAU_SERVER_NAME: machine.server_name,
      ...more,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let log = "";
  const ready = Promise.withResolvers<void>();
  for (const stream of [process.stdout, process.stderr]) {
    (async () => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        log += text;
        if (log.includes('{"ready":true')) ready.resolve();
      }
      ready.reject(new Error(`the ${name} ended: ${log}`));
    })().catch(() => {});
  }
  await ready.promise;
  return { process, log: () => log };
}

async function endUnit({ process }: Unit, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  process.kill(signal);
  await process.status;
}

/** @returns whether a shell script ends well as one of the users */
async function as(user: string, script: string): Promise<boolean> {
  const ids = [`--reuid=${IDS[user] ?? user}`, `--regid=${IDS["bureau"]}`, "--clear-groups"];
  return (await run("/usr/bin/setpriv", [...ids, "--", "/bin/sh", "-c", script])).code === 0;
}

/** File names of units, services or timers. */
const unitFiles = (kind: RegExp) =>
  [...Deno.readDirSync(UNITS)].map(({ name }) => name).filter((name) => kind.test(name)).sort();

Deno.test("systemd finds no fault in the units", async (t) => {
  if (await lacks(t, "/usr/bin/systemd-analyze", "systemd")) return;
  const dir = await Deno.makeTempDir({ prefix: "b-un" });
  try {
    const files = unitFiles(/\.(service|timer)$/);
    assert.ok(files.length >= 6);
    for (const file of files) {
      const text = await Deno.readTextFile(`${UNITS}/${file}`);
      await Deno.writeTextFile(
        `${dir}/${file}`,
        text.replace("/usr/lib/bureau", UNITS).replace("/usr/bin/bureau", "/bin/true"),
      );
    }
    const verify = () =>
      run("systemd-analyze", ["verify", "--man=no", ...files.map((file) => `${dir}/${file}`)]);
    const { code, stdout, stderr } = await verify();
    const ours = (stdout + stderr).split("\n").filter((line) => line.includes("bureau-"));
    assert.deepEqual([code, ours], [0, []]);
    // Control.
    await Deno.writeTextFile(`${dir}/bureau-daemon.service`, "[Service]\nExecStrat=/bin/true\n");
    assert.match((await verify()).stderr, /bureau-daemon/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** Most that systemd may find exposed of a unit, in tenths; the launcher's is explained in deploy/systemd/README.md. */
const EXPOSURE: Record<string, number> = {
  "bureau-daemon.service": 19,
  "bureau-homeserver.service": 19,
  "bureau-homeserver-backup.service": 19,
  "bureau-web.service": 19,
  "bureau-launcher.service": 55,
};

Deno.test("what systemd finds exposed of a unit stays below 2.0, but for the launcher", async (t) => {
  if (await lacks(t, "/usr/bin/systemd-analyze", "systemd")) return;
  const { stdout: version } = await run("systemd-analyze", ["--version"]);
  if (!(Number(/\d+/.exec(version)?.[0]) >= 250)) {
    return await skip(t, "offline analysis came with systemd 250");
  }
  const analyse = (file: string, most: number) =>
    run("systemd-analyze", [
      "security",
      "--offline=true",
      "--no-pager",
      `--threshold=${most}`,
      `${UNITS}/${file}`,
    ]);
  assert.deepEqual(unitFiles(/\.service$/), Object.keys(EXPOSURE).sort());
  for (const [file, most] of Object.entries(EXPOSURE)) {
    const { code, stdout } = await analyse(file, most);
    assert.equal(code, 0, `${file}:\n${stdout}`);
  }
  // Control.
  assert.notEqual((await analyse("bureau-launcher.service", 19)).code, 0);
});

Deno.test("a unit gives its process the permissions that `up` gives it", async () => {
  const dir = await Deno.makeTempDir({ prefix: "b-un" });
  try {
    const grants = await Deno.readTextFile(`${ROOT}/tasks/grants.txt`);
    await Deno.writeTextFile(`${dir}/grants.txt`, grants);
    await Deno.writeTextFile(`${dir}/deno`, '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
    await Deno.writeTextFile(`${dir}/registration-secret`, "c0ffee");
    const values = {
      STATE: "/s t",
      RUN: "/r",
      RUNTIME: dir,
      DENO: `${dir}/deno`,
      LISTEN: "127.0.0.1:6190",
    };
    const role = (name: string, state = values.STATE) =>
      new Deno.Command(`${UNITS}/bureau-role`, {
        args: [name],
        clearEnv: true,
        env: {
          PATH: "/usr/bin:/bin",
          BUREAU_RUNTIME_DIR: dir,
          BUREAU_STATE_DIR: state,
          BUREAU_RUN_DIR: values.RUN,
          BUREAU_LISTEN: values.LISTEN,
          CREDENTIALS_DIRECTORY: dir,
          BUREAU_MACHINE: "@m:s",
          BUREAU_SERVER_NAME: "s",
        },
        stdin: "null",
      }).output();
    for (const name of ["launcher", "daemon", "web", "homeserver"] as const) {
      const { stdout } = await role(name);
      const words = new TextDecoder().decode(stdout).trimEnd().split("\n");
      const expected = denoArguments(name, dir, parseGrants(grants, values));
      assert.deepEqual(words.toSorted(), [...expected].sort(), name);
      assert.deepEqual([words[0], words.at(-1)], [expected[0], expected.at(-1)]);
    }
    for (const state of ['/s","x":"', "/s,/etc", "/s\\", "/s\n/etc"]) {
      assert.equal((await role("launcher", state)).code, 1);
    }
    assert.equal((await role("proxy")).code, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

/** What `bureau-role launcher` tells its process where the kernel says that it stands in `group`, whose parent it may divide. */
async function bootstrapIn(dir: string, group: string): Promise<unknown> {
  const script = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/unit/up"
touch /sys/fs/cgroup/unit/cgroup.procs /sys/fs/cgroup/unit/cgroup.subtree_control
printf '0::%s\\n' "$1" >"$2/group"
mount --bind "$2/group" "/proc/$$/cgroup"
exec ${UNITS}/bureau-role launcher`;
  const { code, stdout, stderr } = await run("env", [
    "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
    `BUREAU_RUNTIME_DIR=${dir}`,
    "BUREAU_MACHINE=@bureau/fleet/f/machine/m:s",
    "BUREAU_SERVER_NAME=s",
    ...["unshare", "--mount", "sh", "-c", script, "sh", group, dir],
  ]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).cgroups;
}

Deno.test("a launcher that systemd lets divide its group is told where, and no other", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root mounts what a unit would see");
  const dir = await Deno.makeTempDir({ prefix: "b-un" });
  try {
    await Deno.writeTextFile(`${dir}/grants.txt`, "launcher run /usr/bin/bwrap\n");
    await Deno.writeTextFile(`${dir}/deno`, "#!/bin/sh\nexec cat\n", { mode: 0o755 });
    assert.deepEqual(await bootstrapIn(dir, "/unit/up"), {
      version: 2,
      dirs: { unified: "/sys/fs/cgroup/unit" },
    });
    // Not in a leaf: the next launcher could not be started above limits.
    assert.equal(await bootstrapIn(dir, "/unit"), undefined);
    assert.equal(await bootstrapIn(dir, "/other/up"), undefined);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("bureau-seal-key leaves no clear key, and nothing undone wherever it was killed", async (t) => {
  if (await lacks(t, "/usr/bin/systemd-creds", "systemd")) return;
  if (Deno.uid() !== 0) return await skip(t, "systemd-creds of this release seals as root only");
  const dir = await Deno.makeTempDir({ prefix: "b-un" });
  try {
    const clear = `${dir}/launcher/machine-key.txt`;
    const sealed = `${dir}/etc/credstore.encrypted/bureau.machine-key`;
    const conf = `${dir}/etc/systemd/system/bureau-launcher.service.d/machine-key.conf`;
    const key = `AGE-SECRET-KEY-1${"Q".repeat(58)}\n`;
    const env = {
      PATH: "/usr/bin:/bin",
      BUREAU_STATE_DIR: dir,
      BUREAU_ETC_DIR: `${dir}/etc`,
      // The host's own stays as it is.
      SYSTEMD_CREDENTIAL_SECRET: `${dir}/host-secret`,
    };
    const call = async (program: string, ...args: string[]) => {
      const done = await new Deno.Command(program, { args, clearEnv: true, env, stdin: "null" })
        .output();
      const text = new TextDecoder();
      return {
        code: done.code,
        out: text.decode(done.stdout),
        err: text.decode(done.stderr),
      };
    };
    const seal = (...args: string[]) => call(`${UNITS}/bureau-seal-key`, ...args);
    const opened = async () =>
      (await call("/usr/bin/systemd-creds", "decrypt", "--name=machine-key", sealed, "-")).out;
    await Deno.mkdir(`${dir}/launcher`);
    assert.match((await seal("host")).err, /Cannot find the machine's key[^]*hint: start the/);
    await Deno.writeTextFile(clear, key, { mode: 0o600 });
    assert.match((await seal("gpg")).err, /Cannot seal with "gpg"/);
    // Of a run that was killed.
    await Deno.mkdir(`${dir}/etc/credstore.encrypted`, { recursive: true });
    await Deno.writeTextFile(`${sealed}.new`, "half");
    const done = await seal("host");
    assert.equal(done.code, 0, done.err);
    await assert.rejects(Deno.stat(clear), Deno.errors.NotFound);
    assert.equal(await opened(), key);
    const { mode } = await Deno.stat(sealed);
    assert.equal(mode! & 0o077, 0);
    assert.ok(!(await Deno.readTextFile(sealed)).includes("AGE-SECRET-KEY"));
    // Killed before it wrote this.
    await Deno.remove(conf);
    assert.equal((await seal("host")).code, 0);
    assert.equal(
      await Deno.readTextFile(conf),
      `[Service]\nLoadCredentialEncrypted=machine-key:${sealed}\n`,
    );
    // Under another name it doesn't open: systemd gives it to nothing else.
    const other = await call("/usr/bin/systemd-creds", "decrypt", "--name=other", sealed, "-");
    assert.notEqual(other.code, 0);
    if ((await call("/usr/bin/systemd-creds", "has-tpm2")).code === 0) return;
    await Deno.writeTextFile(clear, key, { mode: 0o600 });
    assert.match((await seal("tpm2")).err, /hint: systemd-creds has-tpm2/);
    assert.equal(await Deno.readTextFile(clear), key, "the clear key stays where sealing fails");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("launcher and daemon of the units are two users, closed to each other, and run an agent", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root can start processes as other users");
  await withBureau(async (bureau) => {
    // First boot, and an agent, as a person makes them; then the units take over what is there.
    const started = await bureau.up("--detach", "--no-agent");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    await bureau.json("agent", "create", "agent/second", "--template", "bureau/template:agent");
    const runs = async () => {
      const { principals } = await bureau.json<{ principals: { phase: string }[] }>(
        "agent",
        "list",
      );
      return principals[0]?.phase === "running";
    };
    await eventually("it runs", runs, 30_000);
    await step(t, bureau, "tmpfiles.conf says what `up` makes", async () => {
      const text = await Deno.readTextFile(`${UNITS}/tmpfiles.conf`);
      for (const line of text.split("\n").filter((one) => one.startsWith("d "))) {
        const [, path, mode, user, group] = line.split(/\s+/);
        const here = path!.replace("/var/lib/bureau", bureau.stateDir)
          .replace("/run/bureau", bureau.runDir);
        const info = await Deno.stat(here);
        assert.deepEqual(
          [path, (info.mode! & 0o777).toString(8), info.uid, info.gid],
          [path, parseInt(mode!, 8).toString(8), IDS[user!], IDS[group!]],
        );
      }
    });
    const secret = await Deno.readTextFile(`${bureau.stateDir}/operator/homeserver-secret`);
    await bureau.down();
    // Where the user may execute it: a checkout may be anybody's.
    await Deno.copyFile(`${UNITS}/bureau-role`, `${bureau.stateDir}/bureau-role`);
    await Deno.chmod(`${bureau.stateDir}/bureau-role`, 0o755);
    const homeserver = bureau.homeserver.tokenFile === null
      ? await startHomeserver(bureau, secret.trim())
      : null;
    const launcher = await startUnit(bureau, "launcher");
    // Where the daemon may read; under systemd it is /run/credentials/bureau-daemon.service.
    const settingsDir = `${bureau.stateDir}/daemon/credentials`;
    await Deno.writeTextFile(
      `${bureau.stateDir}/operator/bureau.yaml`,
      "notify:\n  - matrix: true\n",
    );
    const printed = await bureau.cli("config", "daemon");
    assert.equal(printed.code, 0, printed.stderr);
    await Deno.mkdir(settingsDir);
    await Deno.writeTextFile(`${settingsDir}/daemon`, printed.stdout);
    const daemon = await startUnit(bureau, "daemon", { CREDENTIALS_DIRECTORY: settingsDir });
    const web = await startUnit(bureau, "web");
    let second: Unit | null = null;
    try {
      await eventually("it runs again", runs, 30_000);
      const agent = async () =>
        (await Promise.all((await processesOf(bureau)).map(async (pid) => ({
          pid,
          line: await commandLine(pid),
        })))).find(({ line }) => line.startsWith("/usr/bin/tmux -f"))?.pid;
      const before = await agent();
      assert.ok(before !== undefined);
      await step(t, bureau, "each is its own user, without privileges", async () => {
        const units = [["launcher", launcher], ["daemon", daemon], ["web", web]] as const;
        for (const [name, unit] of units) {
          const status = await Deno.readTextFile(`/proc/${unit.process.pid}/status`);
          const uid = IDS[`bureau-${name}`];
          assert.match(status, new RegExp(`^Uid:\\s${uid}\\s${uid}\\s${uid}\\s${uid}$`, "m"));
          assert.match(status, /^Groups:\s*$/m);
          assert.match(status, /^CapEff:\s0+$/m);
          assert.match(status, /^CapBnd:\s0+$/m);
          assert.match(status, /^NoNewPrivs:\s1$/m);
        }
      });
      await step(
        t,
        bureau,
        "the launcher tells the daemon what the machine is made of",
        async () => {
          const client = createClient(launcherApi, {
            socket: `${bureau.runDir}/launcher/launcher.sock`,
          });
          try {
            const { cpu, memory_bytes } = await client.call("hardware");
            assert.ok(cpu.threads >= 1 && cpu.cores >= 1);
            assert.ok(memory_bytes! > 0);
          } finally {
            client.close();
          }
        },
      );
      await step(t, bureau, "the page is served, and the file's settings hold", async () => {
        const { targets } = await bureau.json<{ targets: { name: string }[] }>("notify", "list");
        assert.deepEqual(targets.map(({ name }) => name), ["matrix"]);
        const url = await eventually("it listens", async () => {
          return (await bureau.json<{ urls: string[] }>("web")).urls[0];
        }, 30_000);
        const page = await fetch(url);
        assert.equal(page.status, 200);
        assert.match(await page.text(), /<!doctype html>/i);
      });
      await step(t, bureau, "neither reads the other's state or signals it", async () => {
        const [cell] = [...Deno.readDirSync(`${bureau.runDir}/p`)].map(({ name }) => name);
        const { stateDir: state, runDir } = bureau;
        /** Each: who has it, and what they do with it. */
        const own: [string, string, string][] = [
          ["bureau-launcher", "bureau-daemon", `cat ${state}/launcher/machine-key.txt`],
          ["bureau-launcher", "bureau-daemon", `ls ${state}/launcher/journal`],
          ["bureau-launcher", "bureau-daemon", `ls ${state}/workspaces`],
          ["bureau-launcher", "bureau-daemon", `ls ${runDir}/p/${cell}/cell`],
          ["bureau-launcher", "bureau-daemon", `test -S ${runDir}/p/${cell}/tmux/tmux.sock`],
          ["bureau-launcher", "bureau-daemon", `kill -0 ${launcher.process.pid}`],
          ["bureau-launcher", "bureau-daemon", `kill -0 ${before}`],
          ["bureau-daemon", "bureau-launcher", `ls ${state}/daemon`],
          ["bureau-daemon", "bureau-launcher", `kill -0 ${daemon.process.pid}`],
          ["root", "bureau-launcher", `cat ${state}/operator/machine-session.json`],
          ["root", "bureau-daemon", `cat ${state}/operator/machine-session.json`],
          ["root", "bureau-daemon", `cat ${state}/operator/signing-key.json`],
          ["root", "bureau-daemon", `echo {} >${state}/operator/policy.json.try`],
          ["bureau-daemon", "bureau-web", `ls ${state}/daemon`],
          ["bureau-launcher", "bureau-web", `ls ${state}/workspaces`],
          ["root", "bureau-web", `cat ${state}/operator/machine-session.json`],
          ["root", "bureau-launcher", `touch ${state}/runtime/proxy.js`],
        ];
        for (const [owner, other, script] of own) {
          assert.equal(await as(other, script), false, `${other}: ${script}`);
          // Control.
          assert.equal(await as(owner, script), true, `${owner}: ${script}`);
        }
        await Deno.remove(`${state}/operator/policy.json.try`);
        // Their sockets are for each other and for root.
        for (const role of ["launcher", "daemon"]) {
          const script = `test -w ${runDir}/${role}/${role}.sock`;
          assert.equal(await as("12345", `exec setpriv --regid=12345 -- sh -c '${script}'`), false);
          for (const user of ["bureau-launcher", "bureau-daemon"]) {
            assert.equal(await as(user, script), true, `${user}: ${script}`);
          }
        }
      });
      await step(
        t,
        bureau,
        "a launcher that is killed leaves the agent to the next one",
        async () => {
          assert.equal((await settings("launcher"))["KillMode"], "process");
          assert.equal((await settings("launcher"))["Restart"], "always");
          await endUnit(launcher, "SIGKILL");
          second = await startUnit(bureau, "launcher");
          await eventually("it is adopted", runs, 30_000);
          assert.equal(await agent(), before);
        },
      );
      await step(t, bureau, "a launcher that systemd gives the key to needs no file", async () => {
        await endUnit(second!, "SIGTERM");
        // Where this launcher may read; under systemd it is /run/credentials/bureau-launcher.service.
        const credentials = `${bureau.stateDir}/launcher/credentials`;
        await Deno.mkdir(credentials);
        const clear = `${bureau.stateDir}/launcher/machine-key.txt`;
        await Deno.rename(clear, `${credentials}/machine-key`);
        await Deno.chown(credentials, IDS["bureau-launcher"]!, IDS["bureau"]!);
        try {
          second = await startUnit(bureau, "launcher", { CREDENTIALS_DIRECTORY: credentials });
          await eventually("it is adopted", runs, 30_000);
          assert.equal(await agent(), before);
          await assert.rejects(Deno.stat(clear), Deno.errors.NotFound);
        } finally {
          // `up`, which clears up after this test, has no systemd that would give it.
          await Deno.rename(`${credentials}/machine-key`, clear);
        }
      });
    } finally {
      await endUnit(web, "SIGTERM");
      await endUnit(daemon, "SIGTERM");
      await endUnit(second ?? launcher, "SIGTERM").catch(() => {});
      if (homeserver !== null) await endUnit(homeserver, "SIGTERM");
    }
  });
});

/** The embedded one, as `up` runs it, without `up`. */
async function startHomeserver(bureau: Bureau, secret: string): Promise<Unit> {
  const dir = `${bureau.stateDir}/runtime`;
  const listen = `127.0.0.1:${bureau.ports.homeserver}`;
  const grants = parseGrants(await Deno.readTextFile(`${dir}/grants.txt`), {
    STATE: bureau.stateDir,
    RUN: bureau.runDir,
    RUNTIME: dir,
    DENO: `${dir}/deno`,
    LISTEN: listen,
  });
  const { homeserver } = rootIdentities("");
  const process = new Deno.Command("/usr/bin/setpriv", {
    args: [
      `--reuid=${homeserver.uid}`,
      `--regid=${homeserver.gid}`,
      "--clear-groups",
      "--",
      `${dir}/deno`,
      ...denoArguments("homeserver", dir, grants),
    ],
    cwd: dir,
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify({
    version: 1,
    listen: { hostname: "127.0.0.1", port: bureau.ports.homeserver },
    server_name: bureau.homeserver.serverName,
    state_dir: `${bureau.stateDir}/homeserver`,
    registration_shared_secret: secret,
  })));
  await writer.close();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  assert.match(value ?? "", /"ready":true/);
  (async () => {
    while (!(await reader.read()).done);
  })();
  return { process, log: () => "" };
}
