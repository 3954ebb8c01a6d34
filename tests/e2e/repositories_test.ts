// SPDX-License-Identifier: Apache-2.0

/** A person's own repository and two agents in it: what they do there comes back, or is thrown away. */
import assert from "node:assert/strict";
import { eventually, run, step, withBureau } from "./harness.ts";

const CODER = "bureau/template:coder";
const TEMPLATE = JSON.stringify({
  description: "Writes a word into a file, commits it, and leaves another open",
  inherits: ["bureau/template:agent"],
  command: [
    "/bin/sh",
    "-c",
    'cd /workspace && echo "$WORD" >"$FILE" && git add "$FILE" && git commit --quiet -m "says $WORD" && ' +
    'if [ -n "$OPEN" ]; then echo "$WORD" >"$OPEN"; fi; touch .git/done; exec sleep infinity',
  ],
  environment_variables: { WORD: "${WORD}", FILE: "${FILE}", OPEN: "${OPEN}" },
  filesystem: [{ source: "${WORKSPACE}", dest: "/workspace", mode: "rw" }],
});

interface Row {
  readonly principal: string;
  readonly phase: string;
  readonly repository?: { readonly branch: string; readonly look?: { readonly ahead: number } };
}
interface Listed {
  readonly principals: Row[];
  readonly kept?: { readonly principal: string }[];
}
interface Work {
  readonly branch: string;
  readonly ahead: number;
  readonly uncommitted: string[];
  readonly files: { readonly path: string }[];
}

Deno.test("two agents work in one repository, and their work comes back", async (t) => {
  await withBureau(async (bureau) => {
    const ok = async (...args: string[]) => {
      const done = await bureau.cli(...args);
      assert.equal(done.code, 0, `${args.join(" ")}: ${done.stdout}${done.stderr}`);
      return done.stdout;
    };
    const git = async (...args: string[]) => {
      const done = await run("git", ["-C", bureau.repo, "-c", "safe.directory=*", ...args]);
      assert.equal(done.code, 0, done.stderr);
      return done.stdout.trim();
    };
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    await Deno.writeTextFile(`${bureau.stateDir}/coder.json`, TEMPLATE);
    await ok("template", "push", `${bureau.stateDir}/coder.json`, CODER);
    const create = (name: string, word: string, file: string, open: string, ...more: string[]) =>
      ok(
        "agent",
        "create",
        name,
        "--template",
        CODER,
        "--repo",
        bureau.repo,
        ...["--var", `WORD=${word}`, "--var", `FILE=${file}`, "--var", `OPEN=${open}`],
        ...more,
      );
    const has = (name: string, files: string[]) =>
      eventually(`${name} has done its part`, async () => {
        const { files: found } = await bureau.json<Work>("agent", "diff", name, "--stat");
        return JSON.stringify(found.map(({ path }) => path)) === JSON.stringify(files);
      }, 120_000);

    await step(
      t,
      bureau,
      "each has a clone and a branch of its own; what is not in it is said",
      async () => {
        await Deno.writeTextFile(`${bureau.repo}/mine.txt`, "not committed\n");
        assert.match(await create("one", "uno", "one.txt", ""), /not included.* mine\.txt/);
        await Deno.remove(`${bureau.repo}/mine.txt`);
        await create("two", "due", "two.txt", "open.txt", "--branch", "work/two");
        await has("one", ["one.txt"]);
        await has("two", ["open.txt", "two.txt"]);
        const two = await bureau.json<Work>("agent", "log", "two");
        assert.deepEqual([two.branch, two.ahead, two.uncommitted], ["work/two", 1, ["open.txt"]]);
        const { principals } = await bureau.json<Listed>("agent", "list");
        assert.deepEqual(
          principals.map(({ repository }) => [repository?.branch, repository?.look?.ahead])
            .toSorted(),
          [["bureau/one", 1], ["work/two", 1]],
        );
        assert.match(
          await ok("agent", "show", "two"),
          /work\/two: 1 commit ahead of main, 1 file uncommitted/,
        );
      },
    );

    await step(
      t,
      bureau,
      "what one running agent did is merged into the clean checkout",
      async () => {
        await ok("agent", "merge", "one");
        assert.equal(await Deno.readTextFile(`${bureau.repo}/one.txt`), "uno\n");
        assert.equal(await git("log", "-1", "--format=%an %s"), "one says uno");
        const refused = await bureau.cli("agent", "merge", "two");
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /has not committed open\.txt/);
      },
    );

    await step(t, bureau, "a destroyed agent's work is kept, told of, and merged", async () => {
      assert.match(
        await ok("agent", "destroy", "two", "--yes"),
        /not merged: work\/two: 1 commit ahead/,
      );
      const { kept } = await bureau.json<Listed>("agent", "list");
      assert.deepEqual(kept!.map(({ principal }) => principal), ["bureau/fleet/dev/agent/two"]);
      await ok("agent", "merge", "two", "--include-uncommitted", "--message", "both of them");
      assert.equal(await git("log", "-1", "--format=%s"), "both of them");
      assert.equal(
        await git("ls-tree", "-r", "--name-only", "HEAD"),
        "README.md\none.txt\nopen.txt\nsrc/a.ts\ntwo.txt",
      );
      assert.equal(await git("status", "--porcelain"), "");
      await ok("agent", "discard", "two", "--yes");
      assert.equal((await bureau.cli("agent", "diff", "two")).code, 5);
      assert.equal((await bureau.json<Listed>("agent", "list")).kept, undefined);
    });

    await step(
      t,
      bureau,
      "a conflict names its file, changes nothing, and can be discarded",
      async () => {
        await create("three", "tre", "README.md", "");
        await has("three", ["README.md"]);
        await Deno.writeTextFile(`${bureau.repo}/README.md`, "a person's\n");
        await git(
          "-c",
          "user.name=Ada",
          "-c",
          "user.email=a@b",
          "commit",
          "--quiet",
          "-am",
          "mine",
        );
        const before = await git("rev-parse", "HEAD");
        const refused = await bureau.cli("agent", "merge", "three");
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, /both changed README\.md/);
        assert.equal(await git("rev-parse", "HEAD"), before);
        assert.equal(await git("status", "--porcelain"), "");
        const running = await bureau.cli("agent", "discard", "three", "--yes");
        assert.match(running.stderr, /agent drain/);
        await ok("agent", "drain", "three");
        await ok("agent", "discard", "three", "--yes");
        await eventually("its clone is a new one", async () => {
          const { ahead } = await bureau.json<Work>("agent", "log", "three");
          return ahead === 0;
        });
        const other = await bureau.cli(
          ...[
            "agent",
            "create",
            "three",
            "--template",
            CODER,
            "--repo",
            bureau.repo,
            "--branch",
            "x",
          ],
          ...["--var", "WORD=tre", "--var", "FILE=README.md", "--var", "OPEN="],
        );
        assert.match(other.stderr, /it has its branch bureau\/three/);
      },
    );
  });
});
