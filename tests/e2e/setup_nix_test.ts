// SPDX-License-Identifier: Apache-2.0

/** Nix where it is not, and what `tasks/setup-nix` says of it in each state, told by programs of the test's own. */
import assert from "node:assert/strict";
import { ROOT, run, skip } from "./harness.ts";

/** A directory for PATH with this machine's programs but for what is Nix's, and these in their place. */
async function withPrograms(
  scripts: Readonly<Record<string, string>>,
  use: (
    call: (...words: string[]) => Promise<{ code: number; out: string; err: string }>,
  ) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-sn" });
  try {
    for await (const { name } of Deno.readDir("/usr/bin")) {
      if (!/^(nix|apt-get|systemctl|deno$)/.test(name)) {
        await Deno.symlink(`/usr/bin/${name}`, `${dir}/${name}`);
      }
    }
    for (const [name, script] of Object.entries(scripts)) {
      await Deno.writeTextFile(`${dir}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    const env: Record<string, string> = {
      PATH: dir,
      HOME: dir,
      BUREAU_DENO: Deno.execPath(),
      NIX_DAEMON_SOCKET_PATH: `${dir}/no-socket`,
    };
    const denoDir = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;
    await use(async (...words) => {
      const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
        args: words,
        cwd: ROOT,
        clearEnv: true,
        env: { ...env, DENO_DIR: denoDir },
        stdin: "null",
      }).output();
      const text = new TextDecoder();
      return { code, out: text.decode(stdout), err: text.decode(stderr) };
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Answers as Nix does. @param settings lines `name = value` */
const nix = (version: string, settings: string, answers = "true") =>
  `case "$*" in
    --version) echo "nix (Nix) ${version}" ;;
    *show-config*) printf '${settings.replaceAll("\n", "\\n")}\\n' ;;
    *'1 + 1'*) echo 2 ;;
    *'store ping'*) ${answers} ;;
    *) echo "asked for $*" >&2; exit 9 ;;
  esac`;
const SETTINGS = "build-users-group =\nsandbox = true\nsubstituters = https://one.example";

Deno.test("without Nix `environment build` says what to do, and setup-nix --check what it would", async () => {
  const marker = "apt-get must not run";
  await withPrograms({ "apt-get": `echo "${marker}" >&2; exit 7` }, async (sh) => {
    const build = await sh(
      "tasks/bureau",
      "environment",
      "build",
      "tools",
      "./x",
      "--state-dir",
      "/nonexistent/s",
      "--run-dir",
      "/nonexistent/r",
    );
    assert.equal(build.code, 1, build.out + build.err);
    assert.match(build.err, /there is no Nix on this machine\nhint: sh tasks\/setup-nix --check/);
    const check = await sh("tasks/setup-nix", "--check");
    assert.equal(check.code, 1);
    assert.match(check.out, /^would apt-get install nix-bin/m);
    assert.match(check.out, /^bad {3}there is no Nix$/m);
    assert.doesNotMatch(check.out + check.err, new RegExp(marker));
    // Control: without --check root's goes to apt, and nobody else's.
    const doing = await sh("tasks/setup-nix");
    assert.equal(doing.code, 1);
    assert.equal(doing.err.includes(marker), Deno.uid() === 0, doing.err);
  });
  await withPrograms({}, async (sh) => {
    const { code, out } = await sh("tasks/setup-nix", "--check");
    assert.equal(code, 1);
    assert.match(out, /no apt-get[^]*nixos\.org\/download/);
  });
});

Deno.test("setup-nix judges what Nix says of itself", async (t) => {
  const judge = async (script: string) => {
    let answer = { code: -1, out: "", err: "" };
    await withPrograms({ nix: script, "nix-store": "exit 0" }, async (sh) => {
      answer = await sh("tasks/setup-nix", "--check");
    });
    return answer;
  };
  const old = await judge(nix("2.3.16", SETTINGS));
  assert.equal(old.code, 1);
  assert.match(old.out, /^bad {3}Nix 2\.3\.16 is too old$/m);
  assert.match((await judge(nix("", SETTINGS))).out, /says nothing that is a version/);
  const silent = await judge(nix("2.18.1", SETTINGS, "false"));
  assert.match(silent.out, /^note {2}https:\/\/one\.example does not answer/m);
  assert.match(
    (await judge(nix("2.18.1", SETTINGS))).out,
    /^ok {4}https:\/\/one\.example answers$/m,
  );
  const open = await judge(nix("3.0", SETTINGS.replace("true", "false")));
  assert.match(open.out, /^ok {4}Nix 3\.0/m);
  assert.match(open.out, /^note {2}builders are not sandboxed/m);
  if (Deno.uid() !== 0 || await Deno.stat("/nix").then(() => true, () => false)) {
    return await skip(t, "the store is judged here where root has none yet");
  }
  assert.equal((await judge(nix("2.18.1", SETTINGS))).code, 0);
  const group = SETTINGS.replace("group =", "group = no-such-group");
  const lacking = await judge(nix("2.18.1", group));
  assert.equal(lacking.code, 1);
  assert.match(lacking.out, /the group no-such-group \(build-users-group\) does not exist/);
});

Deno.test("setup-nix --check changes nothing, and says how it is called", async (t) => {
  const wrong = await run("sh", ["tasks/setup-nix", "--chek"]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /usage: sh tasks\/setup-nix/);
  if (!await Deno.stat("/usr/bin/nix").then(() => true, () => false)) {
    return await skip(t, "/usr/bin/nix is not here: apt-get install nix-bin");
  }
  const before = await Deno.lstat("/nix").then(() => true, () => false);
  const home = await Deno.makeTempDir({ prefix: "b-sn" });
  try {
    await run("env", [
      `HOME=${home}`,
      "NIX_CONFIG=substituters =",
      "sh",
      "tasks/setup-nix",
      "--check",
    ]);
    assert.deepEqual([...Deno.readDirSync(home)], []);
    assert.equal(await Deno.lstat("/nix").then(() => true, () => false), before);
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});
