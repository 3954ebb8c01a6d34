// SPDX-License-Identifier: Apache-2.0

/**
 * What an agent may leave in its repository for whoever looks. Each trap has a control: taken without the
 * protection, it fires.
 */
import assert from "node:assert/strict";
import { CliError } from "../../framework/exit.ts";
import { diffOf, logOf } from "./diff.ts";
import { mergeView } from "./merge.ts";
import { Quarantine } from "./quarantine.ts";
import { SourceRepository } from "./source.ts";
import { readStream } from "./stream.ts";
import { Scene } from "./testing.ts";

const code = (code: string) => (thrown: unknown) =>
  thrown instanceof CliError && thrown.code === code && thrown.hint !== undefined;

const files = async (scene: Scene) => {
  await using view = await scene.view("a");
  return (await diffOf(scene.call(), view)).files.map(({ path }) => path);
};

/** What a cell that an agent took over could send: git's own pack of these objects, unchecked. */
async function packOf(dir: string, objects: string): Promise<Uint8Array<ArrayBuffer>> {
  const child = new Deno.Command("/usr/bin/git", {
    args: ["-C", dir, "-c", "safe.directory=*", "pack-objects", "--stdout", "-q"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  await new Blob([`${objects}\n`]).stream().pipeTo(child.stdin);
  return (await child.output()).stdout;
}

async function takePack(scene: Scene, head: string, pack: Uint8Array<ArrayBuffer>): Promise<void> {
  const lines = `bureau-work 1\nhead ${head} eA==\nsnapshot -\npack\n`;
  const operatorDir = `${scene.dir}/operator`;
  const source = await SourceRepository.open({
    operatorDir,
    path: `${scene.dir}/source`,
    owner: { uid: Deno.uid()!, gid: Deno.gid()! },
  });
  await using quarantine = await Quarantine.make(operatorDir, source, AbortSignal.timeout(60_000));
  const work = await readStream(new Blob([lines, pack]).stream());
  await quarantine.take(work, await source.tips());
}

Deno.test("no program of the agent's configuration, attributes or hooks runs, in the cell neither", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  await scene.commit(dir, { "a.txt": "agent\n" }, "mine");
  // The cell sees it as /mark/evil, and can write there.
  await Deno.writeTextFile(
    `${scene.dir}/mark/evil`,
    '#!/bin/sh\necho "$0 $*" >>/mark/fired\ncat\n',
    {
      mode: 0o755,
    },
  );
  const keys: Record<string, string> = {
    "core.fsmonitor": "/mark/evil",
    "core.hooksPath": "/workspace/.git/hooks",
    "core.alternateRefsCommand": "/mark/evil",
    "core.pager": "/mark/evil",
    "core.sshCommand": "/mark/evil",
    "core.gitProxy": "/mark/evil",
    "diff.external": "/mark/evil",
    "diff.evil.textconv": "/mark/evil",
    "diff.evil.command": "/mark/evil",
    "filter.evil.clean": "/mark/evil",
    "filter.evil.smudge": "/mark/evil",
    "filter.evil.process": "/mark/evil",
    "merge.evil.driver": "/mark/evil",
    "uploadpack.packObjectsHook": "/mark/evil",
    "gpg.program": "/mark/evil",
    "log.showSignature": "true",
    "core.worktree": "/etc",
    "extensions.worktreeConfig": "true",
  };
  for (const [key, value] of Object.entries(keys)) await scene.git(dir, "config", key, value);
  for (
    const hook of ["post-index-change", "reference-transaction", "pre-commit", "post-checkout"]
  ) {
    await Deno.copyFile(`${scene.dir}/mark/evil`, `${dir}/.git/hooks/${hook}`);
  }
  await scene.write(dir, {
    ".git/info/attributes": "* filter=evil diff=evil merge=evil\n",
    ".gitattributes": "* filter=evil diff=evil merge=evil\n",
    "open.txt": "open\n",
  });
  const fired = `${scene.dir}/mark/fired`;
  await using view = await scene.view("a");
  const { patch } = await diffOf(scene.call(), view);
  assert.match(patch!, /^\+agent$/m);
  assert.match(patch!, /^\+open$/m);
  await logOf(scene.call(), view, 10);
  await scene.git("source", "switch", "--quiet", "--detach");
  await mergeView(scene.call({ "include-uncommitted": true }), view);
  await assert.rejects(Deno.stat(fired), Deno.errors.NotFound);
  // Control: git in the very same cell, with the agent's directory as its own.
  const control =
    "cd /workspace; git -c safe.directory=* -c core.worktree=/workspace status; git -c safe.directory=* diff";
  await scene.cell(dir, ["/bin/sh", "-c", control]);
  assert.match(await Deno.readTextFile(fired), /evil/);
});

Deno.test("objects that git would obey later are refused", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  const blob = async (content: string) => {
    await Deno.writeTextFile(`${dir}/.git/blob`, content);
    return await scene.git(dir, "hash-object", "-w", ".git/blob");
  };
  const tree = async (entries: readonly [mode: string, name: string, oid: string][]) => {
    const bytes = entries.flatMap(([mode, name, oid]) => [
      ...new TextEncoder().encode(`${mode} ${name}\0`),
      ...Uint8Array.fromHex(oid),
    ]);
    await Deno.writeFile(`${dir}/.git/tree`, new Uint8Array(bytes));
    return await scene.git(dir, "hash-object", "-w", "-t", "tree", "--literally", ".git/tree");
  };
  const before = await scene.git("source", "for-each-ref");
  const start = await scene.git(dir, "rev-parse", "HEAD");
  const hook = await blob("#!/bin/sh\n");
  const url = (url: string) => blob(`[submodule "x"]\n\tpath = x\n\turl = ${url}\n`);
  const inGit = await tree([["100755", "post-merge", hook]]);
  const traps: Record<string, string> = {
    "a .git of its own": await tree([["40000", ".git", inGit]]),
    "the same as another file system sees it": await tree([["40000", ".GIT", inGit]]),
    "a way up": await tree([["40000", "..", inGit]]),
    "a path for a name": await tree([["100644", "../../outside", hook]]),
    "a submodule that is an option": await tree([[
      "100644",
      ".gitmodules",
      await url("--upload-pack=touch /tmp/x"),
    ]]),
    "a submodule that is a program": await tree([[
      "100644",
      ".gitmodules",
      await url("-u./payload"),
    ]]),
    "a link for .gitmodules": await tree([["120000", ".gitmodules", hook]]),
  };
  for (const [what, oid] of Object.entries(traps)) {
    const commit = await scene.git(dir, "commit-tree", oid, "-p", start, "-m", "trap");
    await scene.git(dir, "update-ref", "refs/heads/bureau/a", commit);
    await assert.rejects(
      (async () => {
        await using view = await scene.view("a");
        await mergeView(scene.call(), view);
      })(),
      (thrown) => code("bad-objects")(thrown) || code("no-work")(thrown),
      what,
    );
    const all = await scene.git(
      dir,
      "rev-list",
      "--objects",
      "--no-object-names",
      commit,
      `^${start}`,
    );
    await assert.rejects(
      takePack(scene, commit, await packOf(dir, all)),
      code("bad-objects"),
      what,
    );
  }
  assert.equal(await scene.git("source", "for-each-ref"), before);
  // Control: without the check git takes them all.
  await scene.git("source", "fetch", "--quiet", dir, "bureau/a");
  assert.match(await scene.git("source", "ls-tree", "FETCH_HEAD"), /120000 blob \w+\t\.gitmodules/);
});

Deno.test("links lead out of nothing: .git, its objects, alternates, and files of the work tree", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  await Deno.symlink("/etc/passwd", `${dir}/users`);
  await Deno.symlink("/etc", `${dir}/etc`);
  await using view = await scene.view("a");
  const { patch } = await diffOf(scene.call(), view);
  assert.doesNotMatch(patch!, /root:/);
  assert.match(patch!, /^\+\/etc\/passwd$/m);
  assert.match(await Deno.readTextFile(`${dir}/users`), /root:/, "control: a read follows it");

  // Objects of somebody else's repository, by an alternate: git as such reads them.
  const secret = `${scene.dir}/secret`;
  await Deno.mkdir(secret);
  await scene.git(secret, "init", "--quiet", "--initial-branch=main");
  const commit = await scene.commit(secret, { "secret.txt": "secret\n" }, "secret");
  await scene.write(dir, { ".git/objects/info/alternates": `${secret}/.git/objects\n` });
  await scene.write(dir, { ".git/refs/heads/bureau/a": `${commit}\n` });
  assert.match(await scene.git(dir, "show", "bureau/a:secret.txt"), /secret/, "control");
  await assert.rejects(scene.view("a"), code("no-work"));

  await Deno.rename(`${dir}/.git/objects`, `${scene.dir}/objects`);
  await Deno.symlink(`${scene.dir}/objects`, `${dir}/.git/objects`);
  assert.ok(
    (await scene.tryGit(dir, "show", "main")).ok || (await scene.tryGit(dir, "log")).ok,
    "control",
  );
  await assert.rejects(scene.view("a"), code("no-work"));
  await Deno.rename(`${dir}/.git`, `${scene.dir}/dot-git`);
  for (
    const make of [
      () => Deno.symlink(`${scene.dir}/dot-git`, `${dir}/.git`),
      () => Deno.writeTextFile(`${dir}/.git`, `gitdir: ${scene.dir}/dot-git\n`),
    ]
  ) {
    await make();
    assert.ok((await scene.tryGit(dir, "rev-parse", "--git-dir")).ok, "control: git follows it");
    await assert.rejects(scene.view("a"), code("no-work"));
    await Deno.remove(`${dir}/.git`);
  }
});

Deno.test("an index, a graph or a replacement that lies hides nothing", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  await scene.git(dir, "update-index", "--assume-unchanged", "a.txt");
  await scene.git(dir, "update-index", "--skip-worktree", "b.txt");
  await scene.write(dir, { "a.txt": "hidden\n", "b.txt": "hidden\n", "c.txt": "hidden\n" });
  await scene.write(dir, { ".git/info/exclude": "c.txt\n" });
  assert.equal(
    await scene.git(dir, "status", "--porcelain"),
    "",
    "control: its own git sees nothing",
  );
  assert.deepEqual(await files(scene), ["a.txt", "b.txt", "c.txt"]);

  const base = await scene.git(dir, "rev-parse", "HEAD");
  const real = await scene.commit(dir, { "d.txt": "real\n" }, "real");
  await scene.git(
    dir,
    "replace",
    real,
    await scene.git(dir, "commit-tree", `${base}^{tree}`, "-p", base, "-m", "nothing"),
  );
  assert.equal(await scene.git(dir, "diff", "--name-only", base, real), "", "control");
  assert.ok((await files(scene)).includes("d.txt"));
});

Deno.test("names and messages are shown, not obeyed", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  const evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202e";
  await scene.commit(dir, { [`${evil}.txt`]: `${evil}\n` }, `subject ${evil}`);
  await scene.write(dir, { "line\nbreak": "x\n", "--output=x": "x\n" });
  await scene.git(
    dir,
    "update-ref",
    `refs/heads/other\u202e`,
    await scene.git(dir, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "x"),
  );
  await using view = await scene.view("a");
  await diffOf(scene.call(), view);
  await logOf(scene.call(), view, 9);
  await assert.rejects(mergeView(scene.call(), view), (thrown) => {
    scene.said.push((thrown as CliError).message);
    return code("uncommitted")(thrown);
  });
  assert.equal((await diffOf(scene.call(), view)).other_branches[0]!.name, "other\u202e");
  // deno-lint-ignore no-control-regex -- what must not be there
  assert.doesNotMatch(scene.said.join("\n"), /[\x00-\x08\x0b-\x1f\x7f\u202e]/);
  assert.match(scene.said.join("\n"), /\\x1b\]52/);
  const printed = await scene.git(dir, "log", "-1", "--format=%s");
  assert.ok(printed.includes("\x1b"), "control: git prints it");
});

Deno.test("what is too large, never ends or is no file is told of, and holds nobody up", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  const sparse = await Deno.create(`${dir}/sparse`);
  await sparse.truncate(2 ** 40);
  sparse.close();
  await new Deno.Command("mkfifo", { args: [`${dir}/pipe`] }).output();
  await Deno.mkdir(`${dir}/inner`);
  await scene.git(`${dir}/inner`, "init", "--quiet");
  await scene.commit(`${dir}/inner`, { "x": "x" }, "inner");
  await scene.write(dir, { "small": "small\n" });
  const work = await scene.collect("a");
  assert.deepEqual(work.large.names, ["sparse"]);
  assert.deepEqual(work.nested.names, ["inner/"]);
  assert.deepEqual(await files(scene), ["small"]);

  // A tracked name that grew: nobody hashes a tebibyte.
  await Deno.rename(`${dir}/sparse`, `${dir}/a.txt`);
  assert.deepEqual((await scene.collect("a")).large.names, ["a.txt"]);
  await Deno.remove(`${dir}/a.txt`);
  const big = await Deno.create(`${dir}/a.txt`);
  await big.truncate(101 * 2 ** 20);
  big.close();
  await scene.git(dir, "commit", "--quiet", "-m", "big", "a.txt");
  await assert.rejects(scene.view("a"), (thrown) => /100 MiB/.test(String(thrown)));

  await Deno.remove(`${dir}/.git/HEAD`);
  await new Deno.Command("mkfifo", { args: [`${dir}/.git/HEAD`] }).output();
  await assert.rejects(scene.view("a"), code("no-work"));
  await Deno.remove(`${dir}/.git/HEAD`);
  for (const head of ["ref: refs/heads/../../../etc/passwd", "ref: refs/heads/none", "x", ""]) {
    await Deno.writeTextFile(`${dir}/.git/HEAD`, `${head}\n`);
    await assert.rejects(scene.view("a"), code("no-work"), head);
  }
});

Deno.test("a branch name with the shell's own characters is a name in the cell", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  const name = "x;touch${IFS}/mark/fired;$(touch${IFS}/mark/fired)`id`";
  await scene.git(dir, "switch", "--quiet", "-c", name);
  await scene.commit(dir, { "a.txt": "agent\n" }, "mine");
  assert.equal((await scene.collect("a")).branch, name);
  assert.equal((await scene.collect("a", name)).branch, name);
  await assert.rejects(Deno.stat(`${scene.dir}/mark/fired`), Deno.errors.NotFound);
  await scene.cell(dir, [
    "/bin/sh",
    "-c",
    `cd /workspace; eval "$(head -c 200 .git/HEAD | cut -d / -f 3-)"`,
  ]);
  assert.ok(await Deno.stat(`${scene.dir}/mark/fired`), "control: a shell that evaluates it obeys");
});

Deno.test("a stream of anything else is refused, whatever it is", async () => {
  const encoder = new TextEncoder();
  const oid = "a".repeat(40);
  const streams = [
    "",
    "end\n",
    "pack\n",
    "bureau-work 1\nend\n",
    `bureau-work 1\nhead ${oid} eA==\nend\n`,
    `bureau-work 1\nhead ../../x eA==\nsnapshot -\nend\n`,
    `bureau-work 1\nhead ${oid} %%%\nsnapshot -\nend\n`,
    `bureau-work 1\nhead ${oid} eA==\nsnapshot --all\nend\n`,
    `bureau-work 2\nhead ${oid} eA==\nsnapshot -\nend\n`,
    "failed constructor\nend\n",
    "x".repeat(3 * 2 ** 20),
    `bureau-work 1\n${"x\n".repeat(2 ** 20)}`,
  ];
  for (const stream of streams) {
    await assert.rejects(
      readStream(new Blob([encoder.encode(stream)]).stream()),
      code("no-work"),
      stream.slice(0, 80),
    );
  }
  const good = `bureau-work 1\nhead ${oid} eA==\nsnapshot -\nend\n`;
  assert.equal(
    (await readStream(new Blob([encoder.encode(good)]).stream())).branch,
    "x",
    "control",
  );
});

Deno.test("a pack that is cut off, or lacks what its commits name, is refused", async () => {
  await using scene = await Scene.make();
  const dir = await scene.agent("a");
  await scene.commit(dir, { "a.txt": "agent\n" }, "mine");
  const head = await scene.git(dir, "rev-parse", "HEAD");
  const packed = (objects: string) => packOf(dir, objects);
  const take = (pack: Uint8Array<ArrayBuffer>) => takePack(scene, head, pack);
  const whole = await packed(
    await scene.git(dir, "rev-parse", head, `${head}^{tree}`, `${head}:a.txt`),
  );
  await take(whole);
  await assert.rejects(take(whole.slice(0, whole.length - 30)), code("bad-objects"));
  await assert.rejects(take(await packed(head)), code("bad-objects"));
});
