// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { skip } from "../../../lib/testing/skip.ts";
import { CliError } from "../../framework/exit.ts";
import { diffOf, logOf } from "./diff.ts";
import { mergeView } from "./merge.ts";
import { lookText, readRecord } from "./record.ts";
import { Scene } from "./testing.ts";

type Flags = Readonly<Record<string, string | boolean>>;

async function merge(scene: Scene, name: string, flags: Flags = {}) {
  await using view = await scene.view(name, flags["into"] as string | undefined);
  return await mergeView(scene.call(flags), view);
}

const refused = (code: string, words: RegExp) => (thrown: unknown) =>
  thrown instanceof CliError && thrown.code === code && words.test(thrown.message) && !!thrown.hint;

const file = (scene: Scene, path: string) => Deno.readTextFile(`${scene.dir}/source/${path}`);

Deno.test("two agents of one repository: diff, log, and both merged into the clean checkout", async () => {
  await using scene = await Scene.make();
  const one = await scene.agent("one");
  const two = await scene.agent("two");
  assert.equal(await scene.git(one, "branch", "--show-current"), "bureau/one");
  assert.equal(await scene.git(one, "config", "--local", "user.email"), "one@bureau.local");
  assert.equal(await scene.git(two, "branch", "--show-current"), "bureau/two");
  const noise = Array.from({ length: 5000 }, () => crypto.randomUUID()).join("\n");
  await scene.commit(one, { "a.txt": "ONE\ntwo\nthree\n", "noise.txt": noise }, "one says");
  await scene.commit(two, { "new/c.txt": "c\n" }, "two says");
  await scene.write(two, { "open.txt": "half\n" });

  await using view = await scene.view("two");
  assert.deepEqual(view.uncommitted, ["open.txt"]);
  const diff = await diffOf(scene.call(), view);
  assert.deepEqual(diff.files.map(({ path, uncommitted }) => [path, uncommitted]), [
    ["new/c.txt", false],
    ["open.txt", true],
  ]);
  assert.match(diff.patch!, /^\+half$/m);
  const committed = await diffOf(scene.call({ committed: true }), view);
  assert.deepEqual(committed.files.map(({ path }) => path), ["new/c.txt"]);
  const { commits } = await logOf(scene.call(), view, 10);
  assert.deepEqual(commits.map(({ subject }) => subject), ["two says"]);
  const known = (await readRecord(scene.dir, "x/agent/two"))!;
  assert.equal(lookText(known), "bureau/two: 1 commit ahead of main, 1 file uncommitted");

  assert.equal((await merge(scene, "one")).changed, true);
  assert.equal(await file(scene, "a.txt"), "ONE\ntwo\nthree\n", "the work tree went along");
  assert.equal(await file(scene, "noise.txt"), noise);
  await assert.rejects(merge(scene, "two"), refused("uncommitted", /open\.txt/));
  await merge(scene, "two", { "include-uncommitted": true });
  assert.equal(await file(scene, "open.txt"), "half\n");
  assert.equal(await scene.git("source", "status", "--porcelain"), "");
  assert.equal(await scene.git("source", "fsck", "--strict"), "");
  assert.equal(
    await scene.git("source", "log", "-1", "--format=%an <%ae>", "main^2"),
    "two <two@bureau.local>",
  );
  // What it has not committed is there by now.
  assert.deepEqual(
    [(await merge(scene, "one")).changed, (await merge(scene, "two")).changed],
    [false, false],
  );
});

Deno.test("a conflict names the files and changes nothing; --into makes a branch of it", async () => {
  await using scene = await Scene.make();
  const one = await scene.agent("one");
  const theirs = await scene.commit(one, { "a.txt": "agent\n", "d.txt": "d\n" }, "mine");
  await scene.commit("source", { "a.txt": "person\n" }, "yours");
  const before = await scene.git("source", "for-each-ref");
  await assert.rejects(merge(scene, "one"), refused("conflict", /both changed a\.txt$/));
  await assert.rejects(merge(scene, "one", { squash: true }), refused("conflict", /a\.txt/));
  assert.equal(await scene.git("source", "for-each-ref"), before);
  assert.equal(await scene.git("source", "status", "--porcelain"), "");
  assert.equal(await file(scene, "a.txt"), "person\n");
  assert.deepEqual((await merge(scene, "one", { into: "bureau/one" })).commit, theirs);
  assert.equal(await scene.head("bureau/one"), theirs);
  const left = [...Deno.readDirSync(`${scene.dir}/operator/repositories`)].map(({ name }) => name);
  assert.ok(left.every((name) => name.endsWith(".json")), `nothing of a look stays: ${left}`);
});

Deno.test("merge moves no checkout that is dirty, busy or filtered, and any branch that is not checked out", async () => {
  await using scene = await Scene.make();
  const one = await scene.agent("one");
  const theirs = await scene.commit(one, { "a.txt": "agent\n" }, "mine");
  await scene.write("source", { "b.txt": "a person is at it\n" });
  const before = await scene.head();
  await assert.rejects(merge(scene, "one"), refused("dirty", /b\.txt/));
  assert.equal(await scene.head(), before);
  assert.equal(await file(scene, "b.txt"), "a person is at it\n");
  // On another branch, the dirty work tree is nobody's business.
  await scene.git("source", "switch", "--quiet", "-c", "elsewhere");
  await merge(scene, "one");
  assert.equal(await scene.head(), theirs);
  assert.equal(await file(scene, "b.txt"), "a person is at it\n");
  await scene.git("source", "checkout", "--quiet", "b.txt");

  // An untracked file in the way stays as it is.
  await scene.commit(one, { "in-the-way.txt": "agent\n" }, "more");
  await scene.git("source", "switch", "--quiet", "main");
  await scene.write("source", { "in-the-way.txt": "person\n" });
  await assert.rejects(
    merge(scene, "one"),
    refused("not-moved", /in-the-way|overwritten|untracked/),
  );
  assert.equal(await scene.head(), theirs);
  assert.equal(await file(scene, "in-the-way.txt"), "person\n");
  await Deno.remove(`${scene.dir}/source/in-the-way.txt`);
  await merge(scene, "one");

  await scene.commit(one, { ".gitattributes": "*.bin filter=lfs\n", "x.bin": "pointer\n" }, "lfs");
  await assert.rejects(merge(scene, "one"), refused("filtered", /x\.bin/));
  await scene.git("source", "switch", "--quiet", "--detach");
  await merge(scene, "one");

  await scene.commit(one, { "late.txt": "late\n" }, "late");
  await scene.git("source", "switch", "--quiet", "main");
  await scene.commit("source", { "own.txt": "own\n" }, "own");
  // Half of a rebase: the branch is checked out nowhere, and is still being worked on.
  await scene.tryGit(
    "source",
    "-c",
    "sequence.editor=sed -i s/pick/edit/",
    "rebase",
    "-i",
    "HEAD~1",
  );
  await assert.rejects(merge(scene, "one"), refused("busy", /being rebased/));
  await scene.git("source", "rebase", "--abort");
  await merge(scene, "one", { message: "taken" });
  assert.equal(await scene.git("source", "log", "-1", "--format=%s %an"), "taken Bureau operator");
  assert.equal(await file(scene, "late.txt"), "late\n");
});

Deno.test("what came by a squash is not brought twice", async () => {
  await using scene = await Scene.make();
  const one = await scene.agent("one");
  await scene.commit(one, { "a.txt": "agent 1\n" }, "1");
  await scene.commit(one, { "a.txt": "agent 2\n" }, "2");
  await merge(scene, "one", { squash: true, message: "all of it" });
  assert.equal(await scene.git("source", "log", "--format=%s", "main"), "all of it\nfirst");
  await scene.commit("source", { "b.txt": "person\n" }, "other");
  await scene.commit(one, { "a.txt": "agent 3\n" }, "3");
  await using view = await scene.view("one");
  assert.equal(view.record.look!.ahead, 1);
  assert.deepEqual((await logOf(scene.call(), view, 9)).commits.map(({ subject }) => subject), [
    "3",
  ]);
  await merge(scene, "one", { squash: true });
  assert.equal(await file(scene, "a.txt"), "agent 3\n");
  assert.equal((await merge(scene, "one", { squash: true })).changed, false);
});

Deno.test("merge runs nothing that the source's own repository configures", async () => {
  await using scene = await Scene.make();
  const mark = `${scene.dir}/mark/fired`;
  const one = await scene.agent("one");
  await scene.commit(one, { "a.txt": "agent\n" }, "mine");
  const evil = `${scene.dir}/evil`;
  await Deno.writeTextFile(evil, `#!/bin/sh\necho "$0" >>${mark}\n`, { mode: 0o755 });
  const hooks = `${scene.dir}/source/.git/hooks`;
  await Deno.mkdir(hooks, { recursive: true });
  for (const hook of ["post-merge", "reference-transaction", "post-checkout", "pre-merge-commit"]) {
    await Deno.copyFile(evil, `${hooks}/${hook}`);
  }
  await scene.git("source", "config", "core.fsmonitor", evil);
  await scene.git("source", "config", "core.hooksPath", hooks);
  await scene.git("source", "config", "filter.evil.clean", evil);
  await scene.git("source", "config", "filter.evil.smudge", evil);
  await Deno.writeTextFile(`${scene.dir}/source/.git/info/attributes`, "* filter=evil\n");
  await Deno.remove(mark).catch(() => {});
  await merge(scene, "one");
  assert.equal(await file(scene, "a.txt"), "agent\n");
  await assert.rejects(Deno.stat(mark), Deno.errors.NotFound);
  // Control: a person's git does run them.
  await scene.tryGit("source", "merge", "--ff-only", await scene.head("main~0"));
  await scene.tryGit("source", "status");
  assert.ok(await Deno.stat(mark));
});

Deno.test("as root, what is written into somebody's repository stays theirs", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "needs root");
  await using scene = await Scene.make();
  await Deno.chmod(scene.dir, 0o711);
  const give = async (path: string): Promise<void> => {
    await Deno.chown(path, 12345, 12345);
    if (!(await Deno.lstat(path)).isDirectory) return;
    for await (const { name } of Deno.readDir(path)) await give(`${path}/${name}`);
  };
  await give(`${scene.dir}/source`);
  const one = await scene.agent("one");
  await scene.commit(one, { "new.txt": "agent\n" }, "mine");
  await merge(scene, "one");
  const others: string[] = [];
  const walk = async (path: string): Promise<void> => {
    const info = await Deno.lstat(path);
    if (info.uid !== 12345) others.push(path);
    if (info.isDirectory) {
      for await (const { name } of Deno.readDir(path)) await walk(`${path}/${name}`);
    }
  };
  await walk(`${scene.dir}/source`);
  assert.deepEqual(others, []);
  assert.equal(await file(scene, "new.txt"), "agent\n");
});
