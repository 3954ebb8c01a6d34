// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { CliError } from "../../framework/exit.ts";
import { readRecord } from "./record.ts";
import { Scene } from "./testing.ts";

async function filesBelow(dir: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (entry.isDirectory) found.push(...await filesBelow(`${dir}/${entry.name}`));
    else found.push(`${dir}/${entry.name}`);
  }
  return found;
}

const refused = (code: string, words: RegExp) => (thrown: unknown) =>
  thrown instanceof CliError && thrown.code === code && !!thrown.hint &&
  words.test(`${thrown.message} ${thrown.hint}`);

Deno.test("a clone shares no file with its source, and knows nothing of it but its branch", async () => {
  await using scene = await Scene.make();
  await scene.git("source", "switch", "--quiet", "-c", "private");
  const secret = await scene.commit("source", { "secret.txt": "secret\n" }, "secret");
  await scene.git("source", "switch", "--quiet", "main");
  await scene.write("source", { "a.txt": "stashed\n" });
  await scene.git("source", "stash", "push", "--quiet");
  const stash = await scene.git("source", "rev-parse", "stash");
  await scene.git("source", "gc", "--quiet");

  const dir = await scene.agent("a");
  const linked = `${scene.dir}/linked`;
  await scene.git("source", "clone", "--quiet", ".", linked);
  const inodes = new Set<number>();
  for (const file of await filesBelow(`${scene.dir}/source`)) {
    inodes.add((await Deno.lstat(file)).ino!);
  }
  const shared = async (clone: string) => {
    const all = await filesBelow(clone);
    const infos = await Promise.all(all.map((file) => Deno.lstat(file)));
    return all.filter((_, index) => inodes.has(infos[index]!.ino!));
  };
  assert.deepEqual(await shared(dir), []);
  assert.ok((await shared(linked)).length > 0, "control: git's own clone links its objects");
  await assert.rejects(Deno.stat(`${dir}/.git/objects/info/alternates`), Deno.errors.NotFound);
  for (const oid of [secret, stash]) {
    assert.ok(!(await scene.tryGit(dir, "cat-file", "-e", oid)).ok, "not even as an object");
  }
  for (const file of await filesBelow(dir)) {
    assert.ok(!(await Deno.readTextFile(file)).includes(scene.dir), `${file} names the source`);
  }
  assert.equal(
    await scene.git(dir, "branch", "--all", "--format=%(refname)"),
    "refs/heads/bureau/a\nrefs/remotes/origin/main",
  );
  assert.equal(await scene.git(dir, "status", "--porcelain"), "");
});

Deno.test("what a clone does not have is said: open changes, submodules, LFS, the rest of a shallow history", async () => {
  await using scene = await Scene.make();
  await scene.commit(
    "source",
    { ".gitattributes": "*.bin filter=lfs\n", "x.bin": "pointer\n" },
    "lfs",
  );
  const head = await scene.head();
  await scene.git("source", "update-index", "--add", "--cacheinfo", `160000,${head},libs/sub`);
  await scene.git("source", "commit", "--quiet", "-m", "module");
  await scene.write("source", { "open\x1b[2J.txt": "open\n", "a.txt": "changed\n" });
  await scene.agent("a");
  const said = scene.said.join("\n");
  assert.match(said, /not committed in .*: .*a\.txt/);
  assert.match(said, /open\\x1b\[2J\.txt/);
  assert.match(said, /submodules: libs\/sub/);
  assert.match(said, /the contents of 1 files in LFS/);
  assert.doesNotMatch(said, /shallow/);

  await Deno.rename(`${scene.dir}/source`, `${scene.dir}/whole`);
  await scene.git(
    "whole",
    "clone",
    "--quiet",
    "--depth=1",
    `file://${scene.dir}/whole`,
    `${scene.dir}/source`,
  );
  const shallow = await scene.agent("b");
  assert.match(scene.said.join("\n"), /the source is shallow/);
  const mine = await scene.commit(shallow, { "b.txt": "agent\n" }, "mine");
  await using view = await scene.view("b");
  assert.deepEqual([view.work.head, view.record.look!.ahead], [mine, 1]);
});

Deno.test("--branch and --from choose; what is there already stays, or is refused", async () => {
  await using scene = await Scene.make();
  const first = await scene.head();
  await scene.git("source", "tag", "-a", "v1", "-m", "v1");
  await scene.git("source", "branch", "stable");
  const second = await scene.commit("source", { "b.txt": "second\n" }, "second");
  const at = async (name: string, own: { branch?: string; from?: string }) => {
    const dir = await scene.agent(name, own);
    const { base_branch: branch } = (await readRecord(scene.dir, `x/agent/${name}`))!;
    return [
      await scene.git(dir, "branch", "--show-current"),
      await scene.git(dir, "rev-parse", "HEAD"),
      branch,
    ];
  };
  assert.deepEqual(await at("a", {}), ["bureau/a", second, "main"]);
  assert.deepEqual(await at("b", { branch: "idea", from: "stable" }), ["idea", first, "stable"]);
  assert.deepEqual(await at("c", { from: "v1" }), ["bureau/c", first, null]);
  assert.deepEqual(await at("d", { from: first }), ["bureau/d", first, null]);
  assert.deepEqual(await at("b", { branch: "idea", from: "stable" }), ["idea", first, "stable"]);
  await scene.write(await scene.agent("b"), { "open.txt": "kept\n" });
  assert.equal(await Deno.readTextFile(`${await scene.agent("b")}/open.txt`), "kept\n");

  await assert.rejects(scene.agent("b", { branch: "other" }), refused("has-repository", /discard/));
  await assert.rejects(scene.agent("b", { from: "main" }), refused("has-repository", /idea/));
  await assert.rejects(
    scene.agent("e", { branch: "idea" }),
    refused("branch-taken", /x\/agent\/b/),
  );
  await assert.rejects(
    scene.agent("e", { branch: "stable" }),
    refused("bad-repository", /--from stable/),
  );
  await assert.rejects(
    scene.agent("e", { from: "none" }),
    refused("bad-repository", /main, stable/),
  );
  await assert.rejects(
    scene.agent("e", { from: "f".repeat(40) }),
    refused("bad-repository", /f{40}/),
  );
  for (const branch of ["-x", "a..b", "x.lock", "a b", "", "@{-1}", "refs/\x1b"]) {
    await assert.rejects(scene.agent("e", { branch }), CliError, branch);
  }
  assert.equal(await readRecord(scene.dir, "x/agent/e"), null, "nothing half is kept");
});
