// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { classify } from "./classify.ts";

const refused = (commands: readonly string[]) => {
  for (const command of commands) {
    const { allowed, why } = classify(command);
    assert.equal(allowed, false, `${command} was let through`);
    assert.notEqual(why, "", command);
  }
};

const LOG = "--no-ext-diff --no-textconv --no-show-signature --oneline";
const DIFF = "git diff --no-ext-diff --no-textconv";

Deno.test("classify() lets what reads through", () => {
  for (
    const command of [
      "ls",
      "ls -la src",
      "cat README.md | head -n 20 | wc -l",
      "grep -rn 'a|b' src",
      `grep "it is 5 * 3 ? [no]" notes.txt`,
      "find . -name '*.ts' -newer a.ts",
      "fd --extension ts",
      "rg --files-with-matches TODO",
      "diff -u a b",
      "tail -n 5 log.txt",
      "hostname",
      DIFF,
      `${DIFF} HEAD~1 -- src/--output`,
      `git log ${LOG} -n 5`,
      "git show --no-ext-diff --no-textconv --no-show-signature --pretty=fuller HEAD",
      "git blame --no-ext-diff --no-textconv a.ts",
      "git rev-parse --show-toplevel",
      "git ls-files --others",
      "git cat-file -p HEAD:a.ts",
      "git describe --tags",
    ]
  ) {
    assert.deepEqual([command, classify(command)], [command, {
      allowed: true,
      why: "it only reads",
    }]);
  }
});

Deno.test("classify() refuses every hole of the first version", async (t) => {
  await t.step("wrappers that swallow the command", () =>
    refused([
      "nice rm ls",
      "env rm cat",
      "env sh ls",
      "env GIT_EXTERNAL_DIFF=./x git diff",
      "time ls",
      "time --output=f ls",
      "timeout 5 rm ls",
      "nohup ls",
      "VAR=x ls",
      "/bin/ls",
      "./ls",
      "\\ls",
      "! ls",
      "(ls)",
      "{ ls; }",
    ]));

  await t.step("git: programs and files by options, by any beginning of them", () =>
    refused([
      "git diff",
      `${DIFF} --output=f`,
      `${DIFF} --outp=f`,
      `${DIFF} --ou=f`,
      `${DIFF} --ext-diff`,
      `${DIFF} --ext`,
      `${DIFF} --textconv`,
      `${DIFF} --textc`,
      `${DIFF} --submodule=log`,
      `${DIFF} --sub=log`,
      `git log ${LOG} --output=f`,
      `git log ${LOG} --show-signature`,
      `git log ${LOG} --show-s`,
      `git log ${LOG} --format=%GG`,
      `git log ${LOG} --pretty=format:%G?`,
      `git log ${LOG} --pretty=mine`,
      `git log ${LOG} --pretty`,
      `git log ${LOG} --remerge-diff`,
      `git log ${LOG} --help`,
      "git log --no-ext-diff --no-textconv --no-show-signature",
      "git log --oneline -- --no-ext-diff --no-textconv --no-show-signature",
      "git cat-file --filters HEAD:a",
      "git cat-file --fil HEAD:a",
      "git cat-file --textconv HEAD:a",
      "git cat-file --batch-command",
      "git describe --dirty",
      "git describe --dirt",
      "git ls-files --recurse-submodules",
      "git status",
      "git -c core.pager=x log",
      "git -C / log",
      "git --no-pager log",
      "git branch",
      "git checkout .",
      "git commit -m x",
      "git x-alias",
    ]));

  await t.step("flags that run or write", () =>
    refused([
      "find . -delete",
      "find . -exec rm {} +",
      "find . -execdir rm x",
      "find . -ok rm x",
      "find . -okdir rm x",
      "find . -fprint f",
      "find . -fprint0 f",
      "find . -fprintf f x",
      "find . -fls f",
      "fd -x rm",
      "fd -xrm",
      "fd -Hxrm",
      "fd -X rm",
      "fd --exec rm",
      "fd --exec-batch rm",
      "fd --exe rm",
      "fd -l",
      "rg --pre=x a",
      "rg --pre x a",
      "rg --pre-glob x a",
      "rg --hostname-bin=x a",
      "rg -z a",
      "file -C -m x",
      "file -p x",
      "hostname newname",
      "hostname -F f",
      "diff -l a b",
      "diff --paginate a b",
      "tail -f x",
    ]));

  await t.step("quotes do not hide flags", () =>
    refused([
      "find . '-delete'",
      "find . -del'ete'",
      `find . "-exec" rm`,
      "fd '-x'rm",
      `${DIFF} --'out'put=f`,
      `${DIFF} "--output=f"`,
      "f'in'd . -delete",
    ]));

  await t.step("what a shell computes", () =>
    refused([
      "ls $HOME",
      "ls ${HOME}",
      "ls $(id)",
      "ls `id`",
      `ls "$(id)"`,
      'ls "`id`"',
      'ls "\\$x"',
      "ls $'\\x2d'",
      "ls {a,b}",
      "find . -n* x",
      "ls ?",
      "ls [a]",
      "ls ~",
      "ls 'a",
      'ls "a',
      "ls a\\ b",
    ]));

  await t.step("several commands, redirections, other blanks", () =>
    refused([
      "",
      " ",
      "ls; rm x",
      "ls & rm x",
      "ls && rm x",
      "ls || rm x",
      "ls |& sh",
      "ls |",
      "| ls",
      "ls > f",
      "ls >> f",
      "cat < f",
      "ls\nrm x",
      "ls\rrm x",
      "ls\0rm",
      "ls\u00a0x",
      "ls \ud800",
      "ls | sh",
      "ls | xargs rm",
      "ls | tee f",
      "cat x | bash",
      "sort -o f x",
      "sed -i s/a/b/ f",
      "awk 1 f",
      "tree -o f",
      "uniq a b",
      "cargo test",
      "cargo check",
      "npm test",
      "make",
      "python3 -c 1",
      "node",
      "sudo ls",
      "constructor",
      "__proto__ x",
      `ls ${"x".repeat(10_001)}`,
    ]));
});

Deno.test("classify() lets a command through only as the words that a shell would make of it", async () => {
  const word = fc.stringMatching(/^[ -~]{0,12}$/);
  const commands = fc.sample(
    fc.tuple(fc.constantFrom("echo", "'echo'", 'ec"ho"'), fc.array(word, { maxLength: 5 })),
    3_000,
  ).map(([name, words]) => [name, ...words].join(" "));
  const allowed = commands.filter((command) => classify(command).allowed);
  assert.ok(allowed.length > 100, `${allowed.length} were let through`);
  // Each is one process that prints its words: nothing else happens, and nothing is left out.
  const script = allowed.map((command) => `${command} || printf 'failed'`).join("\n");
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-words" });
  try {
    const { stdout, stderr, code } = await new Deno.Command("/bin/bash", {
      args: ["-c", script],
      cwd: dir,
      clearEnv: true,
      env: { PATH: "/nowhere" },
    }).output();
    const decoder = new TextDecoder();
    assert.deepEqual([code, decoder.decode(stderr)], [0, ""], script.slice(0, 2_000));
    assert.equal(decoder.decode(stdout).includes("failed"), false);
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
