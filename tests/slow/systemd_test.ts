// SPDX-License-Identifier: Apache-2.0

/**
 * deploy/systemd as its README says, under a systemd that runs: installed by hand, its two users made by systemd, an agent
 * that outlives its launcher, and the machine's key sealed.
 */
import assert from "node:assert/strict";
import { denoArguments, parseGrants } from "../../src/lib/process/mod.ts";
import { eventually, freePort, ROOT, skip } from "../e2e/harness.ts";
import { Bed, whyNot } from "./systemd/bed.ts";

const UNITS = ["bureau-launcher", "bureau-daemon", "bureau-web"];
const STATE = "/var/lib/bureau";
const RUNTIME = "/usr/lib/bureau/runtime";

/** As a person there types it. */
const cli = (bed: Bed, ...words: string[]) =>
  bed.must('cd "$1"; shift; exec sh tasks/bureau "$@"', ROOT, ...words);

async function phase(bed: Bed): Promise<string | undefined> {
  const { principals } = JSON.parse(await cli(bed, "agent", "list", "--json")) as {
    principals: { phase: string }[];
  };
  return principals[0]?.phase;
}

const runs = (bed: Bed) =>
  eventually("the agent runs", async () => await phase(bed) === "running", 30_000);

/** The embedded homeserver as a unit of its own; where Bureau has no part in that, it is another program. */
async function installHomeserver(bed: Bed, port: number): Promise<void> {
  const grants = parseGrants(await Deno.readTextFile(`${ROOT}/tasks/grants.txt`), {
    STATE,
    RUN: "/run/bureau",
    RUNTIME,
    DENO: `${RUNTIME}/deno`,
    LISTEN: `127.0.0.1:${port}`,
  });
  const words = denoArguments("homeserver", RUNTIME, grants).map((word) => `'${word}'`).join(" ");
  const secret = await bed.must(`cat ${STATE}/operator/homeserver-secret`);
  await bed.write(
    "/etc/bureau/homeserver.json",
    JSON.stringify({
      version: 1,
      listen: { hostname: "127.0.0.1", port },
      server_name: "bureau.local",
      state_dir: `${STATE}/homeserver`,
      registration_shared_secret: secret,
    }),
    "0600",
  );
  await bed.write(
    "/etc/systemd/system/homeserver.service",
    `[Service]\nStandardInput=file:/etc/bureau/homeserver.json\nWorkingDirectory=${RUNTIME}
Environment=HOME=/nonexistent DENO_DIR=/dev/null/none\nExecStart=${RUNTIME}/deno ${words}\n`,
  );
}

/** The table of deploy/systemd/README.md. */
async function install(bed: Bed): Promise<void> {
  const from = `${ROOT}/deploy/systemd`;
  await bed.must(
    `set -e
    mkdir -p /usr/lib/bureau /etc/bureau /etc/sysusers.d /etc/tmpfiles.d
    cp "$1"/bureau-*.service /etc/systemd/system/
    # There is no journal in a bed.
    for unit in ${UNITS.join(" ")}; do
      mkdir "/etc/systemd/system/$unit.service.d"
      printf '[Service]\\nStandardOutput=append:%s\\nStandardError=inherit\\n' "/run/$unit.log" \\
        >"/etc/systemd/system/$unit.service.d/log.conf"
    done
    install -m 755 "$1/bureau-role" "$1/bureau-seal-key" /usr/lib/bureau/
    cp "$1/sysusers.conf" /etc/sysusers.d/bureau.conf
    cp "$1/tmpfiles.conf" /etc/tmpfiles.d/bureau.conf
    cp "$1/bureau-daemon.service.d/settings.conf" /etc/systemd/system/bureau-daemon.service.d/
    cp -r ${STATE}/runtime ${RUNTIME}
    systemd-sysusers /etc/sysusers.d/bureau.conf
    install -m 600 ${STATE}/operator/machine-session.json /etc/bureau/machine-session.json
    # What a first boot of another user left changes hands.
    for role in launcher daemon; do chown -R "bureau-$role:bureau" "${STATE}/$role"; done
    chown -R bureau-launcher:bureau ${STATE}/workspaces
    rm -rf /run/bureau
    systemd-tmpfiles --create /etc/tmpfiles.d/bureau.conf`,
    from,
  );
  await bed.write("/etc/bureau/daemon.json", await cli(bed, "config", "daemon"), "0600");
  const session = JSON.parse(await bed.must("cat /etc/bureau/machine-session.json")) as {
    user_id: string;
    server_name: string;
  };
  await bed.write(
    "/etc/bureau/bureau.env",
    `BUREAU_MACHINE=${session.user_id}\nBUREAU_SERVER_NAME=${session.server_name}\n`,
  );
}

/** Of a process there, by the field of its status. */
async function statusOf(bed: Bed, pid: string, field: string): Promise<string> {
  return await bed.must('sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"', pid, field);
}

const mainPid = (bed: Bed, unit: string) =>
  bed.must('systemctl show --property=MainPID --value "$1"', unit);

/** Of the agent's terminal, as it is counted there. */
const terminal = (bed: Bed) => bed.must("pgrep --full --oldest '^/usr/bin/tmux -f'");

Deno.test("under a live systemd: two users, an agent that outlives its launcher, a sealed key", async (t) => {
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
  const port = freePort();

  await step("a first boot, and an agent", async () => {
    await bed.must(
      'cd "$1" && exec sh tasks/up --detach --no-agent --listen "127.0.0.1:$2" --authority "127.0.0.1:$3"',
      ROOT,
      String(port),
      String(freePort()),
    );
    await cli(bed, "agent", "create", "agent/second", "--template", "bureau/template:agent");
    await runs(bed);
    await bed.must('cd "$1" && exec sh tasks/up --down', ROOT);
  });

  await step("the units as the README installs them take over", async () => {
    await install(bed);
    await installHomeserver(bed, port);
    await bed.must(`systemctl daemon-reload && systemctl start homeserver ${UNITS.join(" ")}`);
    await runs(bed);
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
      `${RUNTIME}/deno`,
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
    await bed.must("/usr/lib/bureau/bureau-seal-key host");
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
});
