// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { skip } from "../../lib/testing/skip.ts";
import { principalHash } from "../../lib/ref/mod.ts";
import { CliError } from "../framework/exit.ts";
import { prepareWorkspace, type WorkspaceRequest } from "./workspace.ts";

const SCRIBE = "bureau/fleet/dev/agent/scribe";

class Place implements AsyncDisposable {
  private constructor(readonly dir: string) {}

  static async make(): Promise<Place> {
    const place = new Place(await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" }));
    for (const name of ["operator", "workspaces", "source"]) {
      await Deno.mkdir(`${place.dir}/${name}`);
    }
    await place.git("init", "--quiet", "--initial-branch=main");
    await place.commit("a");
    return place;
  }

  get source(): string {
    return `${this.dir}/source`;
  }

  async git(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("git", {
      args: ["-C", this.source, "-c", "safe.directory=*", "-c", "core.fsmonitor=false", ...args],
      env: { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  }

  async commit(name: string): Promise<string> {
    await Deno.writeTextFile(`${this.source}/${name}`, name);
    await this.git("add", name);
    await this.git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", name);
    return await this.git("rev-parse", "HEAD");
  }

  prepare(change: Partial<WorkspaceRequest> = {}): Promise<string> {
    return prepareWorkspace({
      stateDir: this.dir,
      localpart: SCRIBE,
      repo: this.source,
      writable: false,
      keep: [],
      ...change,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}

const names = (dir: string) => [...Deno.readDirSync(dir)].map(({ name }) => name).sort();

Deno.test("prepareWorkspace() makes one snapshot a head, and keeps the one in use", async () => {
  await using place = await Place.make();
  const head = await place.git("rev-parse", "HEAD");
  const first = await place.prepare();
  assert.equal(
    first,
    `${place.dir}/workspaces/${await principalHash(SCRIBE)}/repo-${head.slice(0, 16)}`,
  );
  assert.deepEqual(names(first), [".git", "a"]);
  const { ino } = await Deno.stat(`${first}/a`);
  assert.equal(await place.prepare(), first);
  assert.equal((await Deno.stat(`${first}/a`)).ino, ino, "a repeat changes nothing");

  await place.commit("b");
  const second = await place.prepare({ keep: [first] });
  assert.deepEqual(names(second), [".git", "a", "b"]);
  assert.ok(await Deno.stat(first), "what an agent still has bound is not emptied");
  await place.commit("c");
  const third = await place.prepare({ keep: [second] });
  const left = names(third.replace(/\/[^/]+$/, ""));
  assert.deepEqual(left, [second, third].map((path) => path.split("/").at(-1)!).sort());
});

Deno.test("prepareWorkspace() starts over when an earlier clone was cut off", async () => {
  await using place = await Place.make();
  const path = await place.prepare();
  await Deno.rename(path, `${path}.new`);
  await Deno.remove(`${path}.new/a`);
  assert.equal(await place.prepare(), path);
  assert.deepEqual(names(path), [".git", "a"]);
});

Deno.test("prepareWorkspace() runs nothing that the source or an agent configured", async () => {
  await using place = await Place.make();
  const mark = `${place.dir}/mark`;
  const evil = `${place.dir}/evil`;
  await Deno.writeTextFile(evil, `#!/bin/sh\ntouch ${mark}\nexec "$@"\n`, { mode: 0o755 });
  await Deno.writeTextFile(`${place.source}/.gitattributes`, "* filter=evil\n");
  await place.commit("b");
  const configure = async (dir: string) => {
    const lines = ["[core]", `\tfsmonitor = ${evil}`, `\thooksPath = ${place.dir}/hooks`];
    lines.push("[uploadpack]", `\tpackObjectsHook = ${evil}`);
    lines.push('[filter "evil"]', `\tsmudge = ${evil}`, `\tclean = ${evil}`, "");
    await Deno.writeTextFile(`${dir}/.git/config`, lines.join("\n"), { append: true });
    await Deno.mkdir(`${place.dir}/hooks`, { recursive: true });
    for (const hook of ["post-checkout", "post-merge", "reference-transaction"]) {
      await Deno.writeTextFile(`${place.dir}/hooks/${hook}`, `#!/bin/sh\ntouch ${mark}\n`, {
        mode: 0o755,
      });
    }
  };
  await configure(place.source);
  const snapshot = await place.prepare();
  const own = await place.prepare({ writable: true });
  assert.deepEqual(names(own), names(snapshot));
  // The agent owns this one now.
  await configure(own);
  await Deno.writeTextFile(`${own}/work`, "unsaved");
  await Deno.writeTextFile(`${place.source}/c`, "c");
  assert.equal(await place.prepare({ writable: true }), own);
  assert.equal(await Deno.readTextFile(`${own}/work`), "unsaved", "its work stays");
  await place.prepare({ keep: [snapshot] });
  await assert.rejects(Deno.stat(mark), Deno.errors.NotFound);
  // Control: git as a person runs it there does obey.
  await new Deno.Command("git", { args: ["-C", own, "-c", "safe.directory=*", "status"] }).output();
  assert.ok(await Deno.stat(mark));
});

Deno.test("prepareWorkspace() takes a source of another user, as root", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "needs root");
  await using place = await Place.make();
  for (const path of [place.source, `${place.source}/.git`]) await Deno.chown(path, 12345, 12345);
  await Deno.chown(`${place.dir}/workspaces`, 64702, 64700);
  await Deno.symlink("/etc/passwd", `${place.source}/link`);
  await place.git("add", "link");
  await place.commit("b");
  const path = await place.prepare();
  for (const name of ["", "/a", "/.git/config"]) {
    const { uid, gid } = await Deno.stat(path + name);
    assert.deepEqual([uid, gid], [64702, 64700], name);
  }
  assert.equal((await Deno.stat("/etc/passwd")).uid, 0, "no link was followed");
});

Deno.test("prepareWorkspace() says what is wrong with a source", async () => {
  await using place = await Place.make();
  await Deno.mkdir(`${place.dir}/plain`);
  await new Deno.Command("git", { args: ["init", "--quiet", `${place.dir}/empty`] }).output();
  for (const repo of ["plain", "empty", "missing"]) {
    await assert.rejects(
      place.prepare({ repo: `${place.dir}/${repo}` }),
      (error) => error instanceof CliError && error.code === "bad-repository" && !!error.hint,
    );
  }
  for (const repo of ["ext::sh -c touch% /tmp/b-x", "ssh://nowhere/x", "--upload-pack=touch"]) {
    await assert.rejects(place.prepare({ repo }), CliError);
  }
});

Deno.test("prepareWorkspace() makes an empty directory when there is no repository", async () => {
  await using place = await Place.make();
  const path = await place.prepare({ repo: null });
  assert.deepEqual(names(path), []);
  await Deno.writeTextFile(`${path}/x`, "");
  assert.equal(await place.prepare({ repo: null }), path);
  assert.deepEqual(names(path), ["x"]);
});
