// SPDX-License-Identifier: Apache-2.0

/** The ring with the real bwrap: whatever runs in it, nothing outside its scratch changes. */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as z from "zod/mini";
import { SandboxRequest } from "../../launcher/api.ts";
import { IDENTITY } from "../../launcher/testing/harness.ts";
import { buildRuntime } from "../../launcher/testing/runtime.ts";
import { denoArguments, parseGrants } from "../../lib/process/mod.ts";
import { skip } from "../../lib/testing/skip.ts";
import { guardianSandbox, isReadOnly } from "./mod.ts";

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");
const DEADLINE_MS = 120_000;

/** Everything about every file: names, kinds, contents, modes, times. */
async function picture(dir: string): Promise<string[]> {
  const lines: string[] = [];
  const visit = async (path: string): Promise<void> => {
    const { mode, mtime, size, isDirectory, isSymlink } = await Deno.lstat(path);
    const content = isDirectory
      ? ""
      : isSymlink
      ? await Deno.readLink(path)
      : (await Deno.readFile(path)).toBase64();
    lines.push(`${path} ${mode} ${mtime?.getTime()} ${isDirectory ? "" : size} ${content}`);
    if (!isDirectory) return;
    for await (const { name } of Deno.readDir(path)) await visit(`${path}/${name}`);
  };
  await visit(dir);
  return lines.sort();
}

async function git(cwd: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("/usr/bin/git", {
    args,
    cwd,
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: "/nonexistent",
      GIT_AUTHOR_NAME: "a",
      GIT_AUTHOR_EMAIL: "a@x",
      GIT_COMMITTER_NAME: "a",
      GIT_COMMITTER_EMAIL: "a@x",
    },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** A repository whose configuration runs a program wherever git lets it. */
async function hostileRepository(dir: string): Promise<void> {
  const work = `${dir}/work`;
  await Deno.mkdir(`${work}/bin`, { recursive: true });
  await git(work, "init", "-q");
  const evil = `${work}/evil.sh`;
  await Deno.writeTextFile(evil, `#!/bin/sh\necho fired >> ${work}/FIRED\necho fired\nexit 0\n`);
  for (const name of ["ls", "git", "cat"]) await Deno.copyFile(evil, `${work}/bin/${name}`);
  for (const name of ["a.txt", "-delete", "b c.txt"]) {
    await Deno.writeTextFile(`${work}/${name}`, "one\ntwo\n");
  }
  await Deno.writeTextFile(`${work}/.gitattributes`, "*.txt filter=evil diff=evil merge=evil\n");
  await git(work, "add", "--all");
  await git(work, "commit", "-qm", "first");
  await Deno.writeTextFile(`${work}/a.txt`, "one\nthree\n");
  await Deno.chmod(evil, 0o755);
  for (const name of ["ls", "git", "cat"]) await Deno.chmod(`${work}/bin/${name}`, 0o755);
  for (
    const [key, value] of [
      ["core.fsmonitor", evil],
      ["core.pager", evil],
      ["core.editor", evil],
      ["core.sshCommand", evil],
      ["filter.evil.clean", evil],
      ["filter.evil.smudge", evil],
      ["diff.evil.textconv", evil],
      ["diff.evil.command", evil],
      ["diff.external", evil],
      ["gpg.program", evil],
      ["alias.x", `!${evil}`],
      ["log.showSignature", "true"],
      ["format.pretty", "format:%GG"],
    ] as const
  ) await git(work, "config", key, value);
  await Deno.copyFile(evil, `${work}/.git/hooks/post-checkout`);
  await Deno.chmod(`${work}/.git/hooks/post-checkout`, 0o755);
}

const FLAGS = ["--no-ext-diff --no-textconv", "", "--ext-diff", "-p", "--stat"] as const;
/** @param port of a listener on this machine's loopback */
function commandsOf(work: string, port: number): fc.Arbitrary<string> {
  const at = fc.constantFrom(work, `${work}/a.txt`, `${work}/.git/index`, "/usr/x", "/etc/x", ".");
  const one = fc.oneof(
    fc.tuple(
      fc.constantFrom(
        "status",
        "diff",
        "log",
        "show",
        "blame a.txt",
        "ls-files",
        "describe --all --dirty",
      ),
      fc.constantFrom(...FLAGS),
    ).map(([name, flags]) => `git ${name} ${flags}`),
    fc.constantFrom(
      "git checkout -- a.txt",
      "git commit -qam x",
      "git gc",
      "git x",
      "git -c alias.y='!touch y' y",
      "env GIT_EXTERNAL_DIFF=./evil.sh git diff",
      "env -i /usr/bin/git status",
      "GIT_CONFIG_COUNT=0 git status",
      "unset GIT_CONFIG_COUNT; git diff",
      `PATH=${work}/bin:$PATH ls`,
      "./evil.sh",
      "mount -o remount,rw,bind .",
      "unshare -rm sh -c 'mount -o remount,rw,bind . ; touch unshared'",
      "chmod -R 777 .",
      "setfattr -n user.x -v y a.txt",
      "touch -a -m a.txt",
      `exec 3<>/dev/tcp/127.0.0.1/${port} && echo reached >&3`,
      "exec 3> /proc/self/cwd/a.txt",
      "python3 -c \"open('a.txt','w')\"",
      "perl -e 'unlink glob q(*)'",
      "ln -f a.txt hard; ln -s / sym",
      "mkfifo pipe; mknod node c 1 3",
      "dd if=/dev/zero of=a.txt count=1",
    ),
    fc.tuple(
      fc.constantFrom(
        "rm -rf",
        "touch",
        "mkdir -p",
        "truncate -s 0",
        "chmod 000",
        "mv /etc/passwd",
      ),
      at,
    ).map((words) => words.join(" ")),
    at.map((path) => `echo x > ${path}; echo y >> ${path}`),
    at.map((path) => `find ${path} -exec touch {} + ; find ${path} -delete`),
    fc.constantFrom(
      "nice rm a.txt",
      "env rm a.txt",
      "xargs -a .gitattributes touch",
      "tee a.txt <<< z",
    ),
  );
  return fc.tuple(fc.constantFrom("", "cd /; ", "ls | "), one).map((words) => words.join(""));
}

interface Ran {
  readonly commands: readonly string[];
  readonly mode: "ro" | "rw";
  readonly work: string;
}

/** Runs each command in a shell of its own, all in one sandbox. */
async function run({ commands, mode, work }: Ran): Promise<string> {
  const script = [
    ...commands.map((command) =>
      `timeout -k 1 3 /bin/bash -c ${quoted(command)} </dev/null >/dev/null 2>&1`
    ),
    'echo "home $(touch "$HOME/x" && echo written) net $(grep -c : /proc/net/dev)"',
  ].join("\n");
  const place = guardianSandbox({ workspace: work, command: ["/bin/bash", "-c", script] });
  const request = z.parse(SandboxRequest, {
    ...place,
    binds: place.binds.map((bind) => ({ ...bind, mode })),
  });
  const { code, stdout, stderr } = await launch(request);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** A launcher that lives for one sandbox, with its permissions and, for root, its user: as `sandbox run` starts it. */
async function launch(sandbox: SandboxRequest) {
  const runtime = await buildRuntime();
  const dir = { STATE: "/nowhere/state", RUN: "/nowhere/run", RUNTIME: runtime };
  const grants = parseGrants(await Deno.readTextFile(`${ROOT}/tasks/grants.txt`), {
    ...dir,
    DENO: `${runtime}/deno`,
  });
  const document = {
    ...{ version: 1, mode: "run", run_dir: dir.RUN, state_dir: dir.STATE, runtime_dir: runtime },
    ...{ policy_path: "", machine: "", server_name: "", sandbox },
  };
  const { uid, gid } = IDENTITY;
  const process = new Deno.Command("/usr/bin/setpriv", {
    args: [
      ...(Deno.uid() === 0 ? ["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"] : []),
      ...["--pdeathsig", "KILL", "--", "/bin/sh", "-c"],
      ...['exec 4</dev/null 5>&1 6>&2; exec "$@" >/dev/null', "sh", `${runtime}/deno`],
      ...denoArguments("launcher", runtime, grants),
    ],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" } as const,
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(document)));
  await writer.close();
  const timer = setTimeout(() => process.kill("SIGKILL"), DEADLINE_MS);
  const { code, stdout, stderr } = await process.output().finally(() => clearTimeout(timer));
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** To whom the sandbox runs as: it could write, if it were let. */
async function give(path: string): Promise<void> {
  const args = ["-hR", `${IDENTITY.uid}:${IDENTITY.gid}`, path];
  assert.ok((await new Deno.Command("/bin/chown", { args }).output()).success);
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

Deno.test("whatever runs in the ring, nothing outside its scratch changes and nobody is reached", async (t) => {
  for (const program of ["/usr/bin/git", "/usr/bin/bwrap"]) {
    if (await Deno.stat(program).catch(() => null) === null) {
      return void await skip(t, `no ${program}`);
    }
  }
  // Where the sandbox's user, who is this one, can go.
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-ring" });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let reached = 0;
  const accepting = (async () => {
    for await (const connection of listener) {
      reached++;
      connection.close();
    }
  })().catch(() => {});
  try {
    await hostileRepository(dir);
    if (Deno.uid() === 0) await give(dir);
    const work = `${dir}/work`;
    const { port } = listener.addr as Deno.NetAddr;
    const before = await picture(dir);
    assert.ok(before.length > 20);
    const commands = fc.array(commandsOf(work, port), { minLength: 20, maxLength: 40 });
    await t.step("read-only, without a network", () =>
      fc.assert(
        fc.asyncProperty(commands, async (commands) => {
          const said = await run({ commands, mode: "ro", work });
          // It did run to its end, could write where it may, and has a loopback of its own alone.
          assert.equal(said, "home written net 1\n");
          assert.deepEqual(await picture(dir), before);
          assert.equal(reached, 0);
        }),
        { numRuns: 3, endOnFailure: true },
      ));
    await t.step("control: writable, the repository's programs fire and files change", async () => {
      await run({ commands: ["git diff", "touch new"], mode: "rw", work });
      assert.ok((await Deno.readTextFile(`${work}/FIRED`)).includes("fired"));
      assert.notDeepEqual(await picture(dir), before);
      assert.ok((await Deno.stat(`${work}/new`)).isFile);
      // Outside the sandbox the listener can be reached.
      (await Deno.connect({ port })).close();
      await new Promise((resolve) => setTimeout(resolve, 0));
    });
  } finally {
    listener.close();
    await accepting;
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("isReadOnly() believes the mounts that hold a directory and lie in it, and nothing else", () => {
  const line = (at: string, options: string) => `36 35 98:0 / ${at} ${options} - ext4 /dev/x rw`;
  const info = (...lines: [string, string][]) => lines.map((one) => line(...one)).join("\n");
  assert.equal(isReadOnly(info(["/", "rw"], ["/w", "ro,nosuid"]), "/w"), true);
  assert.equal(isReadOnly(info(["/", "rw"], ["/w", "ro"]), "/w/deep/"), true);
  assert.equal(isReadOnly(info(["/", "ro"]), "/w"), true);
  assert.equal(isReadOnly(info(["/", "rw"]), "/w"), false);
  assert.equal(isReadOnly(info(["/", "ro"], ["/w", "rw"]), "/w"), false);
  assert.equal(isReadOnly(info(["/", "rw"], ["/w", "ro"]), "/work"), false);
  assert.equal(isReadOnly(info(["/", "ro"], ["/w", "ro"], ["/w/s", "rw"]), "/w"), false);
  assert.equal(isReadOnly(info(["/", "ro"], ["/w", "ro"], ["/w", "rw"]), "/w"), false);
  assert.equal(isReadOnly(info(["/", "ro"], ["/w\\040x", "rw"]), "/w x"), false);
  assert.equal(isReadOnly("", "/w"), false);
});
