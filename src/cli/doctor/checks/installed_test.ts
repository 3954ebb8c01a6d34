// SPDX-License-Identifier: Apache-2.0

/** What is found of Bureau's own files, sockets and units, on made-up machines. */
import assert from "node:assert/strict";
import type { Facts } from "../../../lib/hwinfo/mod.ts";
import { directoriesOf } from "../../../lib/process/mod.ts";
import type { Finding } from "../check.ts";
import { installationOf, judgeFiles } from "./files.ts";
import { judgeRuntime, judgeUnits } from "./installed.ts";
import { judgeBackups, judgeResources, judgeStorage } from "./resources.ts";
import { judgeLeftovers, judgeSockets } from "./sockets.ts";

const DIRS = { stateDir: "/s", runDir: "/r" };
const UIDS = { operator: 0, homeserver: 64701, launcher: 64702, daemon: 64703, authority: 64704 };

/** As root's `up` leaves it. */
function root(change: Readonly<Record<string, string>> = {}): Facts {
  const files = new Map<string, string>();
  for (const { path, mode, owner } of directoriesOf(DIRS, true)) {
    const uid = { ...UIDS, web: 64705 }[owner];
    files.set(path, `${mode.toString(8)} ${uid} ${uid === 0 ? 0 : 64700} directory`);
  }
  files.set("/s/operator/session.json", "600 0 0 regular file");
  files.set("/s/operator/policy.json", "644 0 0 regular file");
  files.set("/s/operator/bureau.yaml", "644 0 0 regular file");
  files.set("/s/launcher/machine-key.txt", "600 64702 64700 regular file");
  files.set("/s/authority/tls.pem", "644 64704 64700 regular file");
  files.set("/r/up/up.sock", "600 0 0 socket");
  files.set("/r/daemon/daemon.sock", "660 64703 64700 socket");
  files.set("/r/launcher/launcher.sock", "660 64702 64700 socket");
  files.set("/r/web/web.sock", "660 64705 64700 socket");
  for (const [path, text] of Object.entries(change)) files.set(path, text);
  const sockets = ["up", "daemon", "launcher", "web"];
  return new Map([
    ["layout", "box"],
    ["id -u", "0"],
    ["files", [...files].map(([path, text]) => `${text}|${path}`).join("\n")],
    ["sockets", sockets.map((name) => `listening /r/${name}/${name}.sock`).join("\n")],
  ]);
}

const bad = (found: readonly Finding[]) =>
  found.filter(({ status }) => status === "fail" || status === "warn");
const commands = (found: readonly Finding[]) => bad(found).map(({ repair }) => repair?.what);
const files = (facts: Facts) => judgeFiles(facts, installationOf(facts, DIRS));
const sockets = (facts: Facts) => judgeSockets(facts, installationOf(facts, DIRS));
const leftovers = (facts: Facts) => judgeLeftovers(facts, installationOf(facts, DIRS));

Deno.test("what `up` leaves is well, as root and as an ordinary user", () => {
  assert.deepEqual(bad([...files(root()), ...sockets(root()), ...leftovers(root())]), []);
  const own = new Map(root());
  const text = directoriesOf(DIRS, false).map(({ path, mode }) =>
    `${mode.toString(8)} 1000 1000 directory|${path}`
  ).join("\n");
  own.set("files", `${text}\n600 1000 1000 socket|/r/up/up.sock`);
  own.set("sockets", "listening /r/up/up.sock");
  own.set("id -u", "1000");
  assert.deepEqual(bad(files(own)), []);
  // Where there was never a Bureau, nothing is missed.
  const never: Facts = new Map([["layout", "none"], ["id -u", "0"]]);
  assert.deepEqual([...files(never), ...sockets(never)].map(({ status }) => status), [
    "skip",
    "skip",
  ]);
});

Deno.test("each wrong mode and owner has exactly the command that mends it", () => {
  const found = files(root({
    "/s/operator/session.json": "644 0 0 regular file",
    "/s/launcher/machine-key.txt": "640 64702 64700 regular file",
    "/s/operator/machines/a.boot.json": "640 0 0 regular file",
    "/s/operator/homeserver-secret": "604 0 0 regular file",
    "/s/daemon": "755 64703 64700 directory",
    "/s/homeserver": "700 0 0 directory",
    "/s/authority/tls.key": "604 64704 64700 regular file",
  }));
  assert.deepEqual(commands(found).sort(), [
    "chmod 0600 /s/authority/tls.key",
    "chmod 0600 /s/launcher/machine-key.txt",
    "chmod 0600 /s/operator/homeserver-secret",
    "chmod 0600 /s/operator/machines/a.boot.json",
    "chmod 0600 /s/operator/session.json",
    "chmod 0700 /s/daemon",
    "chown 64701:64700 /s/homeserver",
  ]);
  assert.ok(found.every(({ repair }) => repair?.by === "shell" && !repair.machine));
  // Not a directory: what is there may be somebody's.
  assert.deepEqual(commands(files(root({ "/s/logs": "644 0 0 regular file" }))), [undefined]);
});

Deno.test("a socket at which nobody listens is taken away only where nobody else does", () => {
  const dead = new Map(root());
  const refused = (names: readonly string[]) =>
    ["up", "daemon", "launcher", "web"].map((name) =>
      `${names.includes(name) ? "refused" : "listening"} /r/${name}/${name}.sock`
    ).join("\n");
  dead.set("sockets", refused(["daemon"]));
  assert.deepEqual(commands(sockets(dead)), [undefined], "`up` runs: it starts the daemon again");
  dead.set("sockets", refused(["up", "daemon"]));
  assert.deepEqual(commands(sockets(dead)), ["rm /r/up/up.sock", "rm /r/daemon/daemon.sock"]);
  const ended = new Map(root());
  ended.set("files", ended.get("files")!.replace("600 0 0 socket|/r/up/up.sock\n", ""));
  ended.set("sockets", refused(["daemon", "launcher", "web"]));
  assert.deepEqual(sockets(ended).map(({ status }) => status), ["skip"], "as `down` leaves it");
  ended.set("id -u", "1000");
  assert.match(sockets(ended)[0]!.detail, /only root/);
  const open = root({ "/r/daemon/daemon.sock": "666 64703 64700 socket" });
  assert.deepEqual(commands(sockets(open)), ["chmod 0660 /r/daemon/daemon.sock"]);
  const foreign = root({ "/r/daemon/daemon.sock": "660 1000 1000 socket" });
  assert.deepEqual(commands(sockets(foreign)), [undefined], "somebody else's: not ours to take");
});

Deno.test("control groups are taken away when nothing is in them", () => {
  const left = (count: string) => {
    const facts = new Map(root());
    facts.set("sockets", "refused /r/up/up.sock");
    facts.set("cgroups", count);
    return leftovers(facts);
  };
  assert.equal(left("0")[0]!.repair?.by, "shell");
  assert.equal(left("3")[0]!.repair, undefined);
  assert.match(left("3")[0]!.detail, /3 processes/);
});

Deno.test("a runtime that is not the checkout's is told, permissions by themselves", () => {
  const judge = (text: string) =>
    judgeRuntime(new Map([["runtime", text]]), installationOf(root(), DIRS), null)
      .map(({ name, status }) => `${name} ${status}`);
  assert.deepEqual(judge("same daemon.js\nsame deno"), ["runtime pass"]);
  assert.deepEqual(judge("differs daemon.js\nsame deno"), ["runtime.build warn"]);
  assert.deepEqual(judge("differs grants.txt\nsame deno"), ["runtime.permissions warn"]);
  assert.deepEqual(judge("missing daemon.js\nsame deno"), ["runtime fail"]);
  assert.deepEqual(judge(""), ["runtime skip"]);
});

Deno.test("under systemd: users, settings, group and units", () => {
  const dirs = { stateDir: "/var/lib/bureau", runDir: "/run/bureau" };
  const user = (name: string, id: number) =>
    `${name}:x:${id}:${id}::/nonexistent:/usr/sbin/nologin`;
  const users = ["bureau-launcher", "bureau-daemon", "bureau-web"];
  const machine = (change: Readonly<Record<string, string>>): Facts =>
    new Map(Object.entries({
      "layout": "systemd",
      "id -u": "0",
      "users": users.map((name, at) => user(name, 991 + at)).join("\n"),
      "group": "bureau:x:990:",
      "units": [
        ...users.map((unit) => `${unit} enabled active yes current`),
        // Its homeserver is another one.
        "bureau-homeserver enabled inactive no unknown",
      ].join("\n"),
      "files": [
        "600 0 0 regular file|/etc/bureau/machine-session.json",
        "644 0 0 regular file|/etc/bureau/bureau.env",
        "711 0 0 directory|/var/lib/bureau",
        "700 991 990 directory|/var/lib/bureau/launcher",
        "750 992 990 directory|/run/bureau/daemon",
      ].join("\n"),
      ...change,
    }));
  const judge = (change: Readonly<Record<string, string>>) => {
    const facts = machine(change);
    const place = installationOf(facts, dirs);
    return bad([...judgeUnits(facts, place), ...judgeFiles(facts, place)]).map(({ name }) => name);
  };
  assert.deepEqual(judge({}), []);
  assert.deepEqual(judge({ users: user("bureau-launcher", 991) }), ["units.users"]);
  assert.deepEqual(judge({ group: "bureau:x:990:mallory" }), ["units.group"]);
  assert.deepEqual(
    judge({
      units: "bureau-launcher enabled active yes current\nbureau-daemon enabled failed yes unknown",
    }),
    [
      "units.bureau-daemon",
    ],
  );
  for (const units of ["disabled active yes current", "enabled active yes other"]) {
    assert.deepEqual(judge({ units: `bureau-launcher ${units}` }), ["units.bureau-launcher"]);
  }
  const runtime = (release: string) => {
    const facts = machine({ release });
    return judgeRuntime(facts, installationOf(facts, dirs), null).map(({ status }) => status);
  };
  assert.deepEqual([runtime("0.1.0-a whole"), runtime("0.1.0-a spoilt")], [["pass"], ["fail"]]);
  assert.deepEqual(judge({ files: "644 0 0 regular file|/etc/bureau/bureau.env" }), [
    "units.settings",
  ]);
  assert.deepEqual(
    judge({
      files: "644 0 0 regular file|/etc/bureau/bureau.env\n" +
        "644 0 0 regular file|/etc/bureau/machine-session.json\n" +
        "700 1234 990 directory|/var/lib/bureau/launcher",
    }),
    ["files.owner", "files.secret"],
  );
});

Deno.test("what runs out is told, and what merely is there is not", () => {
  const judge = (change: Readonly<Record<string, string>>) => {
    const facts = new Map(Object.entries({
      disks: "100000000 50000000 1000000 900000 /s\n1000000 900000 10000 9000 /r",
      limits: "nofile 1048576 1048576",
      git: "git version 2.39.5",
      files: "1777 0 0 directory|/tmp",
      "/proc/sys/kernel/random/entropy_avail": "256",
      "/proc/swaps": "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2",
      sizes: "1024 /s/recordings\n10 /s/logs",
      ...change,
    }));
    return bad([...judgeResources(facts), ...judgeStorage(facts, "/s")])
      .map(({ name, status }) => `${name} ${status}`);
  };
  assert.deepEqual(judge({}), []);
  assert.deepEqual(judge({ disks: "100000000 1000 1000000 10 /s" }), [
    "disk.space fail",
    "disk.inodes fail",
  ]);
  assert.deepEqual(judge({ disks: "100000000 50000000 0 0 /s" }), [], "btrfs");
  assert.deepEqual(judge({ limits: "nofile 256 4096" }), ["limits.files warn"]);
  assert.deepEqual(judge({ git: "" }), ["program.git fail"]);
  assert.deepEqual(judge({ git: "git version 2.20.1" }), ["program.git warn"]);
  assert.deepEqual(judge({ files: "777 0 0 directory|/tmp" }), ["tmp fail"]);
  assert.deepEqual(judge({ "/proc/sys/kernel/random/entropy_avail": "12" }), [
    "kernel.random warn",
  ]);
  assert.deepEqual(judge({ sizes: "60000000 /s/recordings\n10 /s/logs" }), [
    "storage.recordings warn",
  ]);
});

Deno.test("backups: none is missed of a young database, and an old one is told", () => {
  const day = 86_400;
  const judge = (text: string) =>
    judgeBackups(new Map([["backups", text]]), 100 * day * 1000).map(({ status }) => status)[0];
  assert.equal(judge(`${99 * day} `), "pass");
  assert.equal(judge(`${50 * day} `), "warn");
  assert.equal(judge(`${50 * day} ${98 * day}`), "pass");
  assert.equal(judge(`${50 * day} ${80 * day}`), "warn");
  assert.equal(judge(""), "skip");
});
