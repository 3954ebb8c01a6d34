// SPDX-License-Identifier: Apache-2.0

/** What stays read-only in a writable workspace, tried by an agent in a real sandbox. */
import assert from "node:assert/strict";
import { type Bed, eventually, withLauncher } from "./testing/harness.ts";

/** A clone as a person has it, given to the launcher's user. */
async function repository(bed: Bed, name: string): Promise<string> {
  const path = await bed.workspace(name);
  for (const dir of [".git/hooks", ".git/objects", ".vscode", "src", "deploy/hooks"]) {
    await Deno.mkdir(`${path}/${dir}`, { recursive: true });
  }
  for (const file of [".git/config", ".git/HEAD", ".envrc", "src/a", "src/.envrc"]) {
    await Deno.writeTextFile(`${path}/${file}`, "as it was\n");
  }
  if (Deno.uid() === 0) {
    const { uid, gid } = await Deno.stat(path);
    const { success } = await new Deno.Command("chown", { args: ["-R", `${uid}:${gid}`, path] })
      .output();
    assert.ok(success);
  }
  return path;
}

const RENAMEAT2 = Deno.build.arch === "aarch64" ? 276 : 316;

/** Each line is tried; what worked is named. */
const TRIALS: Readonly<Record<string, string>> = {
  "hook": "echo evil >.git/hooks/post-checkout",
  "config": "echo evil >>.git/config",
  "config by rename": "echo evil >.git/new && mv .git/new .git/config",
  "git moved": "mv .git away && mkdir .git && rmdir .git && mv away .git",
  "git exchanged":
    `perl -e '$a = ".git"; $b = "src"; exit(syscall(${RENAMEAT2}, -100, $a, -100, $b, 2) != 0)' && mv .git x && mv src .git && mv x src`,
  "hooks moved": "mv .git/hooks .git/old && mkdir .git/hooks",

  "hooks removed": "rm -f .git/hooks/*; rmdir .git/hooks && mkdir .git/hooks",
  "envrc": "echo evil >.envrc",
  "envrc removed": "rm -f .envrc && echo evil >.envrc",
  "editor": "echo evil >.vscode/tasks.json",
  "template's": "echo evil >deploy/hooks/x",
  "made writable": "mount -o remount,rw,bind .git/hooks && echo evil >.git/hooks/x",
  "HEAD": "echo new >.git/HEAD",
  "object": "echo new >.git/objects/x",
  "source": "echo new >src/a",
};
const ALLOWED = ["HEAD", "object", "source"];

const script = [
  ...Object.entries(TRIALS).map(([name, line]) =>
    `( ${line} ) </dev/null 2>/dev/null && echo "did ${name}" >>out`
  ),
  "echo end >>out",
].join("\n");

Deno.test("an agent writes its repository, not what runs on the host when somebody opens it", async () => {
  await withLauncher(async (bed) => {
    const path = await repository(bed, "tree");
    const template = await bed.template("tree", script, { protected_paths: ["deploy/hooks"] });
    await bed.create("tree", await bed.request("tree", { template }));
    await bed.wait("tree");
    const did = (await bed.read("tree", "out")).split("\n").filter((line) =>
      line.startsWith("did")
    );
    assert.deepEqual(did, ALLOWED.map((name) => `did ${name}`));
    assert.equal(await Deno.readTextFile(`${path}/.git/config`), "as it was\n");
    assert.deepEqual([...Deno.readDirSync(`${path}/.git/hooks`)], []);
    // Nothing was made in the person's repository to have something to mount on.
    for (const name of [".idea", ".claude", ".mcp.json", ".git/config.worktree"]) {
      await assert.rejects(Deno.lstat(`${path}/${name}`), Deno.errors.NotFound);
    }

    // Control: in a copy of it, which is in nobody's workspace, everything but the mount works.
    await repository(bed, "control");
    const copied = await bed.template(
      "control",
      `cp -r /workspace /tmp/copy && cd /tmp/copy\n${script}\ncp out /workspace/out`,
    );
    await bed.create("control", await bed.request("control", { template: copied }));
    await bed.wait("control");
    const freely = (await bed.read("control", "out")).split("\n");
    for (const name of Object.keys(TRIALS).filter((name) => name !== "made writable")) {
      assert.ok(freely.includes(`did ${name}`), `${name}: ${freely.join(", ")}`);
    }
  });
});

Deno.test("a git pointer file is protected itself", async () => {
  await withLauncher(async (bed) => {
    const path = await bed.workspace("pointer");
    await Deno.writeTextFile(`${path}/.git`, "gitdir: /elsewhere\n", { mode: 0o666 });
    const template = await bed.template(
      "pointer",
      "for way in 'echo evil >.git' 'rm -f .git' 'mv .git x'; do sh -c \"$way\" || echo no >>out; done",
    );
    const odd = await bed.workspace("odd");
    await Deno.writeTextFile(`${odd}/.envrc`, "", { mode: 0o666 });
    // A place whose name mountinfo writes in another way.
    template.filesystem!.push({ source: odd, dest: "/odd #'\\ name", mode: "rw" });
    await bed.create("pointer", await bed.request("pointer", { template }));
    await bed.wait("pointer");
    assert.equal(await bed.read("pointer", "out"), "no\nno\nno\n");
    assert.equal(await Deno.readTextFile(`${path}/.git`), "gitdir: /elsewhere\n");
  });
});

Deno.test("a protected name that an agent makes is told to the operator", async () => {
  await withLauncher(async (bed) => {
    const path = await bed.workspace("maker");
    const template = await bed.template("maker", "echo evil >.envrc; mkdir -p .git/hooks; touch x");
    await bed.create("maker", await bed.request("maker", { template }));
    await bed.wait("maker");
    const told = (file: string) =>
      bed.launcher.log.find((line) =>
        line.includes("protected") && line.includes(`${path}/${file}`)
      );
    await eventually("the log names what appeared", () => told(".envrc") ?? null);
    await eventually("and git's", () => told(".git") ?? null);
    // Control: of what isn't protected nothing is said.
    assert.equal(told("x"), undefined);
    // The next start finds a link there: that can't be mounted on, so it is refused with the path.
    await Deno.remove(`${path}/.envrc`);
    await Deno.symlink("/etc/passwd", `${path}/.envrc`);
    await assert.rejects(bed.create("maker", await bed.request("maker", { template })), {
      code: "protected-link",
      message: new RegExp(`${path}/.envrc`),
    });
  });
});

Deno.test("git commits in a protected workspace, and can't change its configuration", async () => {
  await withLauncher(async (bed) => {
    const path = await bed.workspace("commits");
    const made = await new Deno.Command("git", {
      args: ["init", "--quiet", path],
      env: { GIT_CONFIG_GLOBAL: "/dev/null" },
    }).output();
    assert.ok(made.success);
    if (Deno.uid() === 0) {
      const { uid, gid } = await Deno.stat(path);
      await new Deno.Command("chown", { args: ["-R", `${uid}:${gid}`, path] }).output();
    }
    const template = await bed.template(
      "commits",
      `exec </dev/null 2>/dev/null
       echo text >file; git add file
       git -c user.name=a -c user.email=a@b commit -q -m first && git checkout -q -b other && git log --format=%s >out
       git config core.fsmonitor evil || echo refused >>out`,
    );
    await bed.create("commits", await bed.request("commits", { template }));
    await bed.wait("commits");
    assert.equal(await bed.read("commits", "out"), "first\nrefused\n");
    assert.doesNotMatch(await Deno.readTextFile(`${path}/.git/config`), /evil/);
  });
});
