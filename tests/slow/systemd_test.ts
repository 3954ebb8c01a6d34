// SPDX-License-Identifier: Apache-2.0

/**
 * What deploy/ installs, under a systemd that runs: installed, set up, agents that outlive their launcher, an upgrade and the
 * way back, the machine's key sealed, backups, and an uninstall after which nothing is left.
 */
import assert from "node:assert/strict";
import { eventually, ROOT, skip } from "../e2e/harness.ts";
import { Bed, whyNot } from "./systemd/bed.ts";

const UNITS = ["bureau-homeserver", "bureau-launcher", "bureau-daemon", "bureau-web"];
const STATE = "/var/lib/bureau";
const LIB = "/usr/lib/bureau";

/** As a person there types it. */
const cli = (bed: Bed, ...words: string[]) => bed.must('exec bureau "$@"', ...words);

async function phase(bed: Bed): Promise<string | undefined> {
  const { principals } = JSON.parse(await cli(bed, "agent", "list", "--json")) as {
    principals: { phase: string }[];
  };
  return principals[0]?.phase;
}

const runs = (bed: Bed) =>
  eventually("the agent runs", async () => await phase(bed) === "running", 30_000);

/** There is no journal in a bed. */
async function keepLogs(bed: Bed): Promise<void> {
  await bed.must(`for unit in ${UNITS.join(" ")} bureau-homeserver-backup; do
    mkdir "/etc/systemd/system/$unit.service.d"
    printf '[Service]\\nStandardOutput=append:%s\\nStandardError=inherit\\n' "/run/$unit.log" \\
      >"/etc/systemd/system/$unit.service.d/log.conf"
  done`);
}

/** Every file, user, control group and process there that an installation could have left; not systemd's own. */
const census = (bed: Bed) =>
  bed.must(String.raw`
    # Besides: what passwd(5) was before the last change, and the key and stamps of systemd itself.
    find /etc /usr /opt /var -xdev \( -path '/etc/*-' -o -path /etc/.pwd.lock -o -path '/var/lib/systemd/*' -o -path /var/tmp \
      -o -path /var/cache -o -path /var/log \) -prune -o -print | LC_ALL=C sort
    ls /run | grep -v '^bureau-.*log$'
    cat /etc/passwd /etc/group /etc/shadow /etc/gshadow
    find /sys/fs/cgroup -type d -path '*/bureau-*.service*'
    ps -eo args | grep -e '/usr/lib/[b]ureau' -e '/var/lib/[b]ureau' || true`);

/** What was added and taken away, but for files that came or went on this machine, below the bed, meanwhile. */
async function changes(before: string, after: string): Promise<string[]> {
  const [old, now] = [new Set(before.split("\n")), new Set(after.split("\n"))];
  const outside = (line: string) => Deno.lstat(line).then(() => true, () => false);
  const changed: string[] = [];
  for (const line of now.difference(old)) {
    if (!line.startsWith("/") || !await outside(line)) changed.push(`+ ${line}`);
  }
  for (const line of old.difference(now)) {
    if (!line.startsWith("/") || await outside(line)) changed.push(`- ${line}`);
  }
  return changed;
}

/** Another build: of another version, with a launcher that differs. @returns where its `deploy/install` lies */
async function nextBuild(bed: Bed): Promise<string> {
  const dir = "/tmp/next";
  await bed.must(
    String.raw`set -e
    mkdir -p "$2/src/lib" "$2/dist" "$2/docs" "$2/agent/driver"
    cd "$1"
    cp -r deploy tasks README.md LICENSE SECURITY.md CHANGELOG.md "$2"
    cp -r docs/guide "$2/docs/"
    cp -r agent/driver/programs "$2/agent/driver/"
    cp -r dist/runtime dist/cli dist/agents "$2/dist/"
    sed 's/VERSION = ".*"/VERSION = "9.9.9"/' src/lib/version.ts >"$2/src/lib/version.ts"
    echo '// another build' >>"$2/dist/runtime/launcher.js"
    echo '# a setting that is new' >>"$2/deploy/systemd/bureau.env"`,
    ROOT,
    dir,
  );
  return dir;
}

/** The release whose Deno a unit's process is. */
async function releaseOf(bed: Bed, unit: string): Promise<string> {
  const exe = await bed.must('readlink "/proc/$1/exe"', await mainPid(bed, unit));
  return exe.replace(`${LIB}/releases/`, "").replace("/dist/runtime/deno", "");
}

/** Of a process there, by the field of its status. */
async function statusOf(bed: Bed, pid: string, field: string): Promise<string> {
  return await bed.must('sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"', pid, field);
}

const mainPid = (bed: Bed, unit: string) =>
  bed.must('systemctl show --property=MainPID --value "$1"', unit);

/** Of the agent's terminal, as it is counted there. */
const terminal = (bed: Bed) => bed.must("pgrep --full --oldest '^/usr/bin/tmux -f'");

Deno.test("under a live systemd: installed, set up, upgraded and back, sealed, removed without a trace", async (t) => {
  const reason = await whyNot();
  if (reason !== null) return await skip(t, reason);
  await using bed = await Bed.boot();
  const journal = async () => {
    for (const unit of UNITS) {
      const { stdout } = await bed.run('systemctl status "$1"; tail -n 30 "/run/$1.log"', unit);
      console.error(`--- ${unit}\n${stdout}`);
    }
  };
  /** Each goes on where the one before it ended. */
  const step = async (name: string, act: () => Promise<void>) => {
    const ok = await t.step(name, async () => {
      try {
        await act();
      } catch (thrown) {
        await journal();
        throw thrown;
      }
    });
    if (!ok) throw new Error(`${name}: it failed, and what follows needs it`);
  };
  await keepLogs(bed);
  const before = await census(bed);

  await step("two commands, and an agent", async () => {
    await bed.must('exec sh "$1/deploy/install"', ROOT);
    assert.match(await bed.must(`exec ${LIB}/setup`), /^@bureau\/fleet\/dev\/machine\/.* runs\.$/m);
    // One that was cut short is done again, from what is there.
    const session = "/etc/bureau/machine-session.json";
    const first = await bed.must(`cat ${session} && systemctl stop 'bureau-*' && rm ${session}`);
    await bed.must(`exec ${LIB}/setup`);
    assert.equal(await bed.must(`cat ${session}`), first);
    await cli(bed, "agent", "create", "agent/second", "--template", "bureau/template:agent");
    await runs(bed);
    // Again, which changes nothing.
    assert.match(await bed.must(`exec ${LIB}/setup`), /was set up before/);
    const refused = await bed.run("exec bureau up --detach");
    assert.match(refused.stderr, /run by systemd on this machine\nhint: systemctl/);
    const { stdout: examined } = await bed.run("exec bureau doctor");
    assert.match(examined, /^installation /m);
    assert.doesNotMatch(examined, /FAIL +files/);
  });

  await step("the doctor finds nothing wrong, and what was broken", async () => {
    const doctor = async (...flags: string[]) => {
      const { stdout } = await bed.run(
        'exec bureau doctor --json --deadline 60 "$@"',
        ...flags,
      );
      const { checks, repairs } = JSON.parse(stdout) as {
        checks: { group: string; name: string; status: string; detail: string }[];
        repairs: { outcome: string }[];
      };
      const wrong = checks.filter(({ group, status }) =>
        group !== "machine" && (status === "fail" || status === "warn")
      );
      return { checks, repairs, wrong: wrong.map(({ name, detail }) => `${name}: ${detail}`) };
    };
    const well = await doctor();
    assert.deepEqual(well.wrong, []);
    const passed = well.checks.filter(({ status }) => status === "pass").map(({ name }) => name);
    for (const name of ["runtime", "units", "units.bureau-daemon", "socket.launcher", "rooms"]) {
      assert.ok(passed.includes(name), `${name} is not well: ${JSON.stringify(well.checks)}`);
    }
    await bed.must(`chmod 644 /etc/bureau/machine-session.json
      chmod 755 ${STATE}/launcher && chown root:root ${STATE}/recordings`);
    assert.equal((await doctor()).wrong.length, 3);
    const mended = await doctor("--fix");
    assert.deepEqual([mended.wrong, mended.repairs.length], [[], 3]);
  });

  await step("each process is its own user, without rights", async () => {
    for (const unit of UNITS) {
      const pid = await mainPid(bed, unit);
      const uid = await bed.must('id -u "$1"', unit);
      assert.equal(await statusOf(bed, pid, "Uid"), [uid, uid, uid, uid].join("\t"), unit);
      assert.match(await statusOf(bed, pid, "CapEff"), /^0+$/);
      assert.match(await statusOf(bed, pid, "CapBnd"), /^0+$/);
      assert.equal(await statusOf(bed, pid, "NoNewPrivs"), "1");
    }
  });

  await step("the page is served through the daemon, by a process without a network", async () => {
    const url = await eventually("it listens", async () => {
      const { urls } = JSON.parse(await cli(bed, "web", "--json")) as { urls: string[] };
      return urls[0]?.replace(/#.*/, "");
    }, 30_000);
    const fetched = await bed.must(
      `exec "$1" eval 'console.log((await (await fetch("'"$2"'")).text()).slice(0, 60))'`,
      `${LIB}/runtime/deno`,
      url,
    );
    assert.match(fetched, /<!doctype html>/i);
    const pid = await mainPid(bed, "bureau-web");
    const devices = await bed.must('tail -n +3 "/proc/$1/net/dev" | cut -d: -f1', pid);
    assert.equal(devices.trim(), "lo");
  });

  await step(
    "the daemon sees nothing of the launcher's, of the operator's, or of homes",
    async () => {
      const pid = await mainPid(bed, "bureau-daemon");
      // As root in its mounts: what keeps the files away is the unit's word, not their modes.
      const seen = (path: string) =>
        bed.run('nsenter --target="$1" --mount sh -c \'ls -A "$1"\' sh "$2"', pid, path);
      for (const path of [`${STATE}/launcher`, `${STATE}/operator`, "/root"]) {
        const { stdout, code } = await seen(path);
        assert.equal(`${code} ${stdout}`.trim(), "0", path);
        // Control: something is there.
        assert.notEqual(await bed.must(`ls -A ${path}`), "", path);
      }
      const written = await bed.run(
        `nsenter --target=${pid} --mount sh -c 'echo x >/etc/bureau/x'`,
      );
      assert.notEqual(written.code, 0);
      await bed.must("echo x >/etc/bureau/x && rm /etc/bureau/x");
    },
  );

  await step(
    "a launcher is started again however often it is killed, and adopts the agent",
    async () => {
      const agent = await terminal(bed);
      // Five starts in ten seconds are what systemd allows by itself.
      for (let round = 0; round < 7; round++) {
        const before = await mainPid(bed, "bureau-launcher");
        await bed.must("systemctl kill --kill-whom=main --signal=KILL bureau-launcher");
        await eventually("systemd started it again", async () => {
          const now = await mainPid(bed, "bureau-launcher");
          return now !== "0" && now !== before;
        }, 30_000);
      }
      await runs(bed);
      assert.equal(await terminal(bed), agent);
    },
  );

  await step("so it is when an admin stops both, and starts them", async () => {
    const agent = await terminal(bed);
    await bed.must(`systemctl stop ${UNITS.join(" ")}`);
    assert.equal(await terminal(bed), agent, "the agent lives on");
    await bed.must(`systemctl start ${UNITS.join(" ")}`);
    await runs(bed);
    assert.equal(await terminal(bed), agent);
  });

  await step("the key, sealed by systemd, reaches the launcher and nobody else", async () => {
    const agent = await terminal(bed);
    await bed.must(`${LIB}/bureau-seal-key host`);
    await bed.must("systemctl daemon-reload && systemctl restart bureau-launcher");
    await runs(bed);
    assert.equal(await terminal(bed), agent);
    const { code } = await bed.run(`ls ${STATE}/launcher/machine-key.txt`);
    assert.notEqual(code, 0, "the clear key is gone");
    const place = "/run/credentials/bureau-launcher.service/machine-key";
    for (const [user, may] of [["bureau-launcher", true], ["bureau-daemon", false]] as const) {
      const read = await bed.run(
        'exec setpriv --reuid="$1" --regid=bureau --clear-groups head -c 14 "$2"',
        user,
        place,
      );
      assert.equal(read.stdout, may ? "AGE-SECRET-KEY" : "", user);
    }
    // A credential sealed before opens still.
    await cli(bed, "agent", "create", "agent/third", "--template", "bureau/template:agent");
  });

  await step("the homeserver copies its database, and keeps some of the copies", async () => {
    await bed.must("exec systemctl is-active bureau-homeserver-backup.timer");
    const copies = () => bed.must(`ls ${STATE}/homeserver/backups`);
    await bed.must("exec systemctl start bureau-homeserver-backup.service");
    const [first] = (await copies()).split("\n");
    assert.match(first ?? "", /^20\d\d-/);
    const owner = await bed.must(`stat --format=%U ${STATE}/homeserver/backups/${first}`);
    assert.equal(owner, "bureau-homeserver");
  });

  await step("an upgrade leaves the agent at work, and so does the way back", async () => {
    const agent = await terminal(bed);
    const old = await releaseOf(bed, "bureau-launcher");
    const next = await nextBuild(bed);
    await bed.must("echo '# mine' >>/etc/bureau/bureau.env");
    // Control: nobody asked for it while agents run.
    const refused = await bed.run('exec sh "$1/deploy/install"', next);
    assert.match(refused.stderr, /agents run.*\nhint: --with-agents/);
    assert.equal(await releaseOf(bed, "bureau-launcher"), old);
    const said = await bed.must('exec sh "$1/deploy/install" --with-agents', next);
    assert.match(said, /bureau\.env is kept as you changed it|installed: 9\.9\.9-/);
    for (const unit of UNITS) assert.match(await releaseOf(bed, unit), /^9\.9\.9-/, unit);
    await runs(bed);
    assert.equal(await terminal(bed), agent);
    const { version, release, running } = JSON.parse(await cli(bed, "version", "--json"));
    assert.match(release, /^9\.9\.9-/);
    assert.ok(running.includes(release), `${version}: ${running}`);
    assert.match(await bed.must("cat /etc/bureau/bureau.env"), /# mine$/);
    assert.match(await bed.must("cat /etc/bureau/bureau.env.dist"), /a setting that is new$/);

    await bed.must(`exec sh ${LIB}/previous/../../deploy/install --with-agents`);
    for (const unit of UNITS) assert.equal(await releaseOf(bed, unit), old, unit);
    await runs(bed);
    assert.equal(await terminal(bed), agent);
  });

  await step("an uninstall keeps what is not its own, and a purge leaves nothing", async () => {
    assert.match((await bed.run(`exec ${LIB}/uninstall`)).stderr, /agents run/);
    assert.match((await bed.run(`exec ${LIB}/uninstall --stop-agents --purge`)).stderr, /--yes/);
    const agent = await terminal(bed);
    assert.notEqual(agent, "", "nothing was changed so far");
    const said = await bed.must(`exec ${LIB}/uninstall --stop-agents`);
    assert.match(said, /left: \/var\/lib\/bureau/);
    assert.match(said, /left: \/etc\/bureau\/bureau\.env, which you changed/);
    await bed.must(`test -s ${STATE}/operator/machine-session.json && id bureau-launcher`);
    await bed.must("! command -v bureau");
    // What stayed is found again.
    await bed.must('exec sh "$1/deploy/install"', ROOT);
    await bed.must(`exec ${LIB}/setup`);
    await runs(bed);
    assert.ok((await changes(before, await census(bed))).includes(`+ ${LIB}/runtime`));
    await bed.must('exec sh "$1/deploy/uninstall" --stop-agents --purge --yes', ROOT);
    assert.deepEqual(await changes(before, await census(bed)), []);
  });
});
