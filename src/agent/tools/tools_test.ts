// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { ToolResultBlock } from "../model/types.ts";
import { HeadAndTail } from "./cap.ts";
import {
  builtinTools,
  defineTool,
  findSkills,
  type Gate,
  skillTool,
  type Tool,
  ToolBox,
} from "./mod.ts";
import { parseSkill } from "./skills.ts";

const never = new AbortController().signal;

interface Rig {
  readonly dir: string;
  call(
    name: string,
    input: Record<string, unknown>,
    signal?: AbortSignal,
  ): Promise<ToolResultBlock>;
}

async function withTools(
  use: (rig: Rig) => Promise<void>,
  options: { disabled?: string[]; gate?: Gate; tools?: readonly Tool[] } = {},
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "tools-" });
  const { tools = builtinTools, ...rest } = options;
  const box = new ToolBox({ tools, workspace: dir, ...rest });
  try {
    await use({
      dir,
      call: async (name, input, signal = never) => {
        const call = { type: "tool_use" as const, id: "t1", name, input };
        return (await box.runAll([call], signal, async () => {}))[0]!;
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("files: written, read, edited, listed, looked through", async () => {
  await withTools(async ({ dir, call }) => {
    const ok = async (name: string, input: Record<string, unknown>) => {
      const { output, is_error } = await call(name, input);
      assert.equal(is_error, false, output);
      return output;
    };
    const fails = async (name: string, input: Record<string, unknown>, why: RegExp) => {
      const { output, is_error } = await call(name, input);
      assert.equal(is_error, true, output);
      assert.match(output, why);
    };
    assert.match(
      await ok("write", { path: "src/a.ts", content: "one\ntwo\nüber\n" }),
      /\(14 bytes\)/,
    );
    assert.equal(await ok("read", { path: "src/a.ts" }), "     1\tone\n     2\ttwo\n     3\tüber");
    assert.match(
      await ok("read", { path: `${dir}/src/a.ts`, from_line: 2, lines: 1 }),
      /^ {5}2\ttwo\n\(3 lines; go on with from_line 3\)$/,
    );
    await Deno.chmod(`${dir}/src/a.ts`, 0o755);
    await ok("edit", { path: "src/a.ts", old: "two\n", new: "2\n" });
    assert.equal(await Deno.readTextFile(`${dir}/src/a.ts`), "one\n2\nüber\n");
    assert.equal((await Deno.stat(`${dir}/src/a.ts`)).mode! & 0o777, 0o755);
    // A link stays one.
    await Deno.symlink("src/a.ts", `${dir}/link`);
    await ok("write", { path: "link", content: "x x x" });
    assert.equal(await Deno.readTextFile(`${dir}/src/a.ts`), "x x x");
    assert.equal((await Deno.lstat(`${dir}/link`)).isSymlink, true);
    await fails("edit", { path: "link", old: "x", new: "y" }, /is 3 times in/);
    await ok("edit", { path: "link", old: "x", new: "$&", all: true });
    assert.equal(await ok("read", { path: "link" }), "     1\t$& $& $&");
    assert.equal(await ok("list", {}), "link@\nsrc/");
    assert.equal(await ok("list", { path: "src" }), "a.ts\t8");
    await ok("write", { path: "src/deep/b.js", content: "say\nSAY" });
    await ok("write", { path: "node_modules/c.ts", content: "say" });
    assert.equal(await ok("glob", { pattern: "**/*.ts" }), "src/a.ts");
    assert.equal(await ok("glob", { pattern: "src/*/?.js" }), "src/deep/b.js");
    assert.equal(await ok("glob", { pattern: "+(a)" }), "(nothing found)");
    assert.equal(await ok("grep", { pattern: "^s(a|b)y$" }), "./src/deep/b.js:1:say");
    assert.match(await ok("grep", { pattern: "say", ignore_case: true, files: "*.js" }), /:2:SAY/);
    assert.equal(await ok("grep", { pattern: "-not-there" }), "(nothing found)");

    await fails("grep", { pattern: "(" }, /[Uu]nmatched/);
    await fails("read", { path: "nothing" }, /cannot read "nothing": No such file or directory/);
    await fails("read", { path: "src" }, /no regular file/);
    await fails("edit", { path: "link", old: "none", new: "" }, /`old` is not in/);
    await Deno.writeFile(`${dir}/binary`, new Uint8Array([0xff, 0xfe, 0]));
    await fails("read", { path: "binary" }, /no text in UTF-8 \(3 bytes\)/);
    await fails("read", {}, /missing: path/);
    await fails("read", { path: 7 }, /"path" must be of type string/);
    await fails("read", { path: "a", mode: "x" }, /there is no "mode"; it takes path/);
    await fails("read", { path: "a", lines: 0 }, /must be from 1 to 2000/);
    await fails("fly", {}, /there is no tool "fly"; there are bash, read/);
  });
});

Deno.test("bash: output, exit codes, no input, much output", async () => {
  await withTools(async ({ dir, call }) => {
    assert.equal((await call("bash", { command: "pwd; echo err >&2" })).output, `${dir}\nerr`);
    const failed = await call("bash", { command: "echo no; exit 3" });
    assert.deepEqual([failed.output, failed.is_error], ["no\n(exit code 3)", true]);
    assert.equal((await call("bash", { command: "cat" })).output, "");
    assert.match((await call("bash", { command: "kill -9 $$" })).output, /ended by SIGKILL/);
    const much = await call("bash", { command: "seq 1000000" });
    assert.match(much.output, /^1\n2\n[^]*bytes left out[^]*\n1000000$/);
    assert.ok(much.output.length < 40_000);
  });
});

Deno.test("tools that come and go are there while they are, and hide none that stay", async () => {
  const named = (name: string, output: string) =>
    defineTool({
      name,
      description: "",
      isReadOnly: true,
      properties: {},
      required: [],
      run: () => Promise.resolve(output),
    });
  let given: readonly Tool[] = [];
  const box = new ToolBox({
    tools: [named("stays", "its own")],
    passing: () => given,
    disabled: ["never"],
    workspace: "/",
  });
  const names = () => box.definitions.map(({ name }) => name);
  const call = async (name: string) => {
    const asked = { type: "tool_use" as const, id: "t1", name, input: {} };
    return (await box.runAll([asked], never, async () => {}))[0]!.output;
  };
  assert.deepEqual(names(), ["stays"]);
  given = ["comes", "stays", "never"].map((name) => named(name, "another's"));
  assert.deepEqual(names(), ["stays", "comes"]);
  assert.deepEqual([await call("comes"), await call("stays")], ["another's", "its own"]);
  assert.match(await call("never"), /there is no tool "never"/);
  given = [];
  assert.match(await call("comes"), /there is no tool "comes"; there are stays$/);
});

/** Pids of processes whose command line holds a text. */
async function running(text: string): Promise<number[]> {
  const pids: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const line = await Deno.readTextFile(`/proc/${name}/cmdline`).catch(() => "");
    if (line.includes(text) && Number(name) !== Deno.pid) pids.push(Number(name));
  }
  return pids;
}

async function gone(text: string): Promise<void> {
  const deadline = Date.now() + 30_000;
  while ((await running(text)).length > 0) {
    if (Date.now() > deadline) throw new Error(`still there: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test("bash: what it started ends with it: at its end, late, cancelled", async () => {
  await withTools(async ({ dir, call }) => {
    // A number that nobody else's sleep has.
    const tag = `7${crypto.getRandomValues(new Uint32Array(1))[0]}`;
    const left = await call("bash", { command: `sleep ${tag} & echo begun` });
    assert.equal(left.output, "begun");
    await gone(tag);
    const late = await call("bash", { command: `sleep ${tag} | sleep ${tag}`, timeout_seconds: 1 });
    assert.match(late.output, /not done within 1 s; it was killed/);
    await gone(tag);
    const stop = new AbortController();
    const going = call("bash", { command: `echo $$ >begun; sleep ${tag}` }, stop.signal);
    const deadline = Date.now() + 30_000;
    while (
      (await running(tag)).length === 0 || !await Deno.stat(`${dir}/begun`).catch(() => null)
    ) {
      if (Date.now() > deadline) throw new Error("it did not begin");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    stop.abort();
    assert.match((await going).output, /cancelled; it was killed/);
    await gone(tag);
  });
});

Deno.test("calls that change nothing run at one time, others one after the other", async () => {
  let now = 0;
  const most: Record<string, number> = {};
  const tool = (name: string, isReadOnly: boolean) =>
    defineTool({
      name,
      description: "",
      isReadOnly,
      properties: {},
      required: [],
      run: async () => {
        most[name] = Math.max(most[name] ?? 0, ++now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now--;
        return name;
      },
    });
  const box = new ToolBox({ tools: [tool("look", true), tool("do", false)], workspace: "/" });
  const names = ["look", "look", "do", "do", "look"];
  const calls = names.map((name, at) => ({
    type: "tool_use" as const,
    id: `t${at}`,
    name,
    input: {},
  }));
  const told: string[] = [];
  const results = await box.runAll(calls, never, ({ id }) => {
    told.push(id);
    return Promise.resolve();
  });
  assert.deepEqual(results.map(({ output }) => output), names);
  assert.deepEqual(results.map(({ id }) => id), ["t0", "t1", "t2", "t3", "t4"]);
  assert.equal(told.length, 5);
  assert.deepEqual(most, { look: 2, do: 1 });
});

Deno.test("tools that are disabled are not there; a gate refuses in its own words", async () => {
  await withTools(async ({ call }) => {
    assert.match((await call("bash", { command: "true" })).output, /there is no tool "bash"/);
  }, { disabled: ["bash"] });
  const gate: Gate = ({ name }) => {
    if (name === "write") throw new Error("nobody answered");
    return Promise.resolve(name === "bash" ? "not today" : null);
  };
  await withTools(async ({ dir, call }) => {
    assert.equal((await call("bash", { command: "touch x" })).output, "refused: not today");
    assert.equal((await call("write", { path: "x", content: "" })).output, "nobody answered");
    assert.equal((await call("list", {})).is_error, false);
    assert.equal(await Deno.stat(`${dir}/x`).catch(() => null), null);
  }, { gate });
});

Deno.test("the beginning and the end of a stream, however it is cut", () => {
  const text = Array.from({ length: 400 }, (_, at) => `${at} `).join("");
  for (const piece of [1, 7, 60, 5000]) {
    const kept = new HeadAndTail(100);
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += piece) kept.add(bytes.subarray(at, at + piece));
    const [head, tail] = kept.text().split(/\n… \(\d+ bytes left out\) …\n/);
    assert.equal(head, text.slice(0, 50));
    assert.equal(tail, text.slice(-50));
    const short = new HeadAndTail(5000);
    for (let at = 0; at < bytes.length; at += piece) short.add(bytes.subarray(at, at + piece));
    assert.equal(short.text(), text);
  }
});

Deno.test("skills: their heads are known, their text is asked for", async () => {
  const dir = await Deno.makeTempDir({ prefix: "skills-" });
  try {
    for (
      const [name, text] of [
        ["review", "---\nname: review\ndescription: >\n  Looks at\n  changes\n---\nLook well.\n"],
        ["plain", "No head."],
        [".hidden", "---\ndescription: x\n---\n"],
      ]
    ) {
      await Deno.mkdir(`${dir}/${name}`);
      await Deno.writeTextFile(`${dir}/${name}/SKILL.md`, text!);
    }
    await Deno.writeTextFile(`${dir}/review/more.md`, "more");
    const skills = await findSkills(dir);
    assert.deepEqual(skills.map(({ name, description }) => [name, description]), [
      ["plain", ""],
      ["review", "Looks at changes"],
    ]);
    await withTools(async ({ call }) => {
      assert.match(
        (await call("load_skill", { name: "review" })).output,
        /review\)\nLook well\.\n$/,
      );
      assert.match((await call("load_skill", { name: "review", file: "more.md" })).output, /more$/);
      assert.match((await call("load_skill", { name: "other" })).output, /there are plain, review/);
      const out = await call("load_skill", { name: "review", file: "../plain/SKILL.md" });
      assert.match(out.output, /not in the skill's folder/);
    }, { tools: [skillTool(skills)] });
    assert.deepEqual(await findSkills(`${dir}/nothing`), []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  assert.deepEqual(parseSkill('---\r\nname: "a: b"\r\n---\r\nx'), {
    head: { name: "a: b" },
    body: "x",
  });
});
