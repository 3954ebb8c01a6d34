// SPDX-License-Identifier: Apache-2.0

/**
 * deploy/install and deploy/uninstall on a scratch root, as anybody: what they write, keep, refuse and take away. A machine
 * with systemd, users and agents is tests/slow/systemd_test.ts.
 */
import assert from "node:assert/strict";
import { lacks } from "../../src/lib/testing/skip.ts";
import { ROOT, run } from "./harness.ts";

const LIB = "/usr/lib/bureau";

/** A build that holds little: what is copied is not run here. */
class Scratch implements AsyncDisposable {
  private constructor(readonly dir: string, readonly source: string, readonly root: string) {}

  static async make(): Promise<Scratch> {
    const dir = await Deno.makeTempDir({ prefix: "b-in" });
    const scratch = new Scratch(dir, `${dir}/source`, `${dir}/root`);
    await Deno.mkdir(`${scratch.root}/etc`, { recursive: true });
    await Deno.mkdir(`${scratch.source}/src/lib`, { recursive: true });
    for (const part of ["runtime", "agents/echo"]) {
      await Deno.mkdir(`${scratch.source}/dist/${part}`, { recursive: true });
    }
    const copied = ["deploy", "tasks", "README.md", "LICENSE", "SECURITY.md", "CHANGELOG.md"];
    await run("cp", ["-r", ...copied.map((name) => `${ROOT}/${name}`), scratch.source]);
    await scratch.version("1.0.0");
    await scratch.write("dist/runtime/daemon.js", "// the daemon\n");
    await scratch.write("dist/runtime/deno", '#!/bin/sh\necho "$@"\n', 0o755);
    await scratch.write("dist/agents/echo/echo.js", "// an agent\n");
    return scratch;
  }

  async write(path: string, text: string, mode = 0o644): Promise<void> {
    await Deno.writeTextFile(`${this.source}/${path}`, text);
    await Deno.chmod(`${this.source}/${path}`, mode);
  }

  version(version: string): Promise<void> {
    return this.write("src/lib/version.ts", `export const VERSION = "${version}";\n`);
  }

  install(...args: string[]) {
    return run("sh", [`${this.source}/deploy/install`, "--root", this.root, ...args]);
  }

  async installed(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.install(...args);
    assert.equal(code, 0, stderr);
    return /^installed: (.*)$/m.exec(stdout)![1]!;
  }

  uninstall(...args: string[]) {
    return run("sh", [`${this.source}/deploy/uninstall`, "--root", this.root, ...args]);
  }

  /** Of all below the root: kind, mode, size, time of the last change, where it leads. */
  async census(): Promise<string[]> {
    const { stdout } = await run("find", [
      this.root,
      "-mindepth",
      "1",
      "-printf",
      "%P %y %m %s %T@ %l\n",
    ]);
    return stdout.trim().split("\n").filter((line) => line !== "").sort();
  }

  read(path: string): Promise<string> {
    return Deno.readTextFile(`${this.root}${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

Deno.test("--dry-run lists what install does, and install does that", async () => {
  await using scratch = await Scratch.make();
  const before = await scratch.census();
  const { code, stdout } = await scratch.install("--dry-run");
  assert.equal(code, 0);
  assert.deepEqual(await scratch.census(), before, "nothing was changed");
  assert.match(stdout, /^user bureau-homeserver /m);
  assert.match(stdout, /^directory 0700 bureau-daemon:bureau \/var\/lib\/bureau\/daemon$/m);
  assert.match(stdout, /^unit bureau-daemon\.service$/m);
  const name = await scratch.installed();
  assert.match(name, /^1\.0\.0-[0-9a-f]{12}$/);
  const announced = [...stdout.matchAll(/^(?:file|link) .*?(\/\S+)(?: -> .*)?$/gm)].map((
    [, path],
  ) => path!);
  const there = (await scratch.census()).flatMap((line) => {
    const [path, kind] = line.split(" ");
    return kind === "d" ? [] : [`/${path}`];
  });
  assert.deepEqual(there, announced.toSorted());
  // Nobody but the owner may write any of it, and all may read it.
  for (const line of await scratch.census()) {
    const [path, kind, mode] = line.split(" ");
    if (kind !== "l" && path !== "etc") assert.match(mode!, /^(755|644)$/, path);
  }
  const again = await scratch.census();
  assert.equal(await scratch.installed(), name);
  const changed = (await scratch.census()).filter((line) => !again.includes(line));
  assert.deepEqual(changed.map((line) => line.split(" ")[0]), [
    "usr/lib/bureau",
    "usr/lib/bureau/manifest",
  ]);
});

Deno.test("an upgrade keeps the release before it, and what an admin changed", async () => {
  await using scratch = await Scratch.make();
  const first = await scratch.installed();
  const env = "/etc/bureau/bureau.env";
  await Deno.writeTextFile(`${scratch.root}${env}`, "BUREAU_LISTEN=127.0.0.1:7000\n");
  await scratch.version("2.0.0");
  await scratch.write("deploy/systemd/bureau.env", "# new\n");
  const second = await scratch.installed();
  const use = () => Deno.readLink(`${scratch.root}${LIB}/runtime`);
  assert.equal(await use(), `releases/${second}/dist/runtime`);
  assert.equal(await scratch.read(env), "BUREAU_LISTEN=127.0.0.1:7000\n");
  assert.equal(await scratch.read(`${env}.dist`), "# new\n");
  await scratch.version("3.0.0");
  const third = await scratch.installed();
  const releases = [...Deno.readDirSync(`${scratch.root}${LIB}/releases`)].map(({ name }) => name);
  assert.deepEqual(releases.sort(), [second, third].sort(), `${first} went`);
  // The way back is the older one's own.
  const back = ["--root", scratch.root];
  const old = `${scratch.root}${LIB}/previous/../../deploy/install`;
  assert.equal((await run("sh", [old, ...back])).code, 0);
  assert.equal(await use(), `releases/${second}/dist/runtime`);
  // Nothing is run of a release that is not what was installed.
  const spoilt = `${scratch.root}${LIB}/releases/${third}`;
  await Deno.writeTextFile(`${spoilt}/dist/runtime/daemon.js`, "// another\n");
  for (const script of [`${spoilt}/deploy/install`, `${scratch.source}/deploy/install`]) {
    const { code, stderr } = await run("sh", [script, ...back]);
    assert.equal(code, 1);
    assert.match(stderr, /its files are not those that it came with/);
  }
  assert.equal(await use(), `releases/${second}/dist/runtime`);
});

Deno.test("install refuses to replace what others put there, and a unit that was changed", async () => {
  await using scratch = await Scratch.make();
  await Deno.mkdir(`${scratch.root}/usr/bin`, { recursive: true });
  await Deno.writeTextFile(`${scratch.root}/usr/bin/bureau`, "another bureau\n");
  const before = await scratch.census();
  const refused = await scratch.install();
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /\/usr\/bin\/bureau is not of Bureau's installation[^]*hint: /);
  assert.deepEqual(await scratch.census(), before, "it looked before it changed anything");
  await Deno.remove(`${scratch.root}/usr/bin/bureau`);
  await scratch.installed();
  const unit = `${scratch.root}/usr/lib/systemd/system/bureau-web.service`;
  await Deno.writeTextFile(unit, "[Service]\n# mine\n");
  assert.match((await scratch.install()).stderr, /bureau-web\.service was changed since/);
  await scratch.installed("--force");
  assert.doesNotMatch(await Deno.readTextFile(unit), /mine/);
  for (
    const [args, said] of [[["--rooot", "/"], /is not an option/], [
      ["--root", "x"],
      /absolute/,
    ]] as const
  ) {
    const { code, stderr } = await run("sh", [`${scratch.source}/deploy/install`, ...args]);
    assert.equal(code, 1);
    assert.match(stderr, said);
  }
});

Deno.test("uninstall takes away what install brought, and a purge the rest", async () => {
  await using scratch = await Scratch.make();
  const before = (await scratch.census()).map((line) => line.split(" ")[0]);
  await scratch.installed();
  const state = `${scratch.root}/var/lib/bureau/launcher`;
  await Deno.mkdir(state, { recursive: true });
  await Deno.writeTextFile(`${state}/machine-key.txt`, "AGE-SECRET-KEY-1\n");
  const unit = "/usr/lib/systemd/system/bureau-web.service";
  await Deno.writeTextFile(`${scratch.root}${unit}`, "[Service]\n# mine\n");
  const installed = await scratch.census();
  assert.match(
    (await scratch.uninstall("--dry-run", "--purge")).stdout,
    /^remove \/var\/lib\/bureau and all/m,
  );
  assert.deepEqual(await scratch.census(), installed);
  // Nobody is there to ask.
  assert.match((await scratch.uninstall("--purge")).stderr, /Cannot purge.*\nhint: give --yes/);
  assert.deepEqual(await scratch.census(), installed);
  const { stdout } = await scratch.uninstall();
  assert.match(stdout, new RegExp(`^left: ${unit} was changed`, "m"));
  assert.match(stdout, /^left: \/var\/lib\/bureau$/m);
  assert.equal(await scratch.read(unit), "[Service]\n# mine\n");
  assert.equal(await Deno.readTextFile(`${state}/machine-key.txt`), "AGE-SECRET-KEY-1\n");
  assert.match((await scratch.uninstall()).stderr, /which says what was installed/);
  await Deno.remove(`${scratch.root}${unit}`);
  assert.equal((await scratch.uninstall("--purge", "--yes")).code, 0);
  const left = (await scratch.census()).map((line) => line.split(" ")[0]);
  const kept = ["usr", "usr/lib", "usr/lib/systemd", "usr/lib/systemd/system", "var", "var/lib"];
  assert.deepEqual(left, [...before, ...kept].sort(), "but for directories of what was kept");
});

Deno.test("the scripts of deploy/ are what a POSIX shell takes", async (t) => {
  if (await lacks(t, "/usr/bin/shellcheck", "shellcheck")) return;
  const scripts = [
    "install",
    "uninstall",
    "setup",
    "bureau",
    "systemd/bureau-role",
    "systemd/bureau-seal-key",
  ];
  const check = (...args: string[]) =>
    run("shellcheck", ["--shell=sh", "--severity=warning", ...args]);
  const { code, stdout } = await check(
    "--external-sources",
    ...scripts.map((name) => `${ROOT}/deploy/${name}`),
  );
  assert.equal(code, 0, stdout);
});
