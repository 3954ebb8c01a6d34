// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { commands, groups } from "../commands.ts";
import { splitGlobals } from "./app.ts";
import { inputSchema } from "./command.ts";
import { CliError } from "./exit.ts";
import { renderReference } from "./reference.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const decoder = new TextDecoder();

async function bureau(...args: string[]) {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--cached-only", `--config=${ROOT}deno.json`],
      ...["--allow-read", "--allow-write", "--allow-net", "--allow-run", "--allow-env"],
      `${ROOT}src/cmd/bureau.ts`,
      ...["--state-dir", `${dir}/s`, "--run-dir", `${dir}/r`],
      ...args,
    ],
    stdin: "null",
  }).output();
  await Deno.remove(dir, { recursive: true });
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("bureau says what is wrong and what to do, with a status for each kind", async () => {
  const cases: readonly [string[], number, RegExp, RegExp][] = [
    [["stauts"], 2, /^error: Cannot run "stauts"/, /^hint: did you mean status\?/m],
    [["agent", "lst"], 2, /^error: Cannot run "lst"/, /^hint: did you mean list\?/m],
    [["agent", "show"], 2, /^error: .*NAME/, /^hint: see `bureau agent show --help`/m],
    [
      ["agent", "list", "--bogus"],
      2,
      /^error: .*--bogus/,
      /^hint: see `bureau agent list --help`/m,
    ],
    [["status", "--permision"], 2, /^error: .*--permision/, /^hint: did you mean --permissions\?/m],
    [["matrix", "messages", "x", "--limit", "many"], 2, /^error: .*limit/, /^hint: /m],
    [["matrix", "send", "x"], 2, /^error: .*TEXT/, /^hint: /m],
    [["status"], 3, /^error: Bureau is not running/, /^hint: .*deno task up/m],
    [["agent", "list"], 3, /^error: Cannot find Bureau/, /^hint: .*deno task up/m],
    [["observe", "scribe"], 2, /^error: .*not a terminal/, /^hint: .*--dump/m],
    [["stauts\x1b[31m\u202e"], 2, /^error: Cannot run "stauts\\x1b\[31m\\u\{202e\}"/, /^hint: /m],
  ];
  await Promise.all(cases.map(async ([args, code, message, hint]) => {
    const done = await bureau(...args);
    assert.equal(done.code, code, `${args}: ${done.stderr}`);
    assert.match(done.stderr, message);
    assert.match(done.stderr, hint);
    assert.equal(done.stdout, "");
    const json = await bureau(...args, "--json");
    assert.equal(json.code, code);
    assert.equal(json.stdout, "");
    const { error } = JSON.parse(json.stderr);
    assert.ok(error.code && error.message && error.hint, json.stderr);
    assert.equal(error.category, code === 2 ? "usage" : "unreachable");
    assert.equal(error.exit_status, code);
  }));
});

Deno.test("bureau --help lists every command that is not plumbing, and each has help", async () => {
  const root = await bureau("--help");
  assert.equal(root.code, 0);
  for (const { name } of groups) assert.match(root.stdout, new RegExp(`^  ${name} `, "m"));
  assert.doesNotMatch(root.stdout, /\bboot\b/);
  assert.equal((await bureau()).stdout, root.stdout);
  await Promise.all(commands.map(async (spec) => {
    const done = await bureau(...spec.path, "--help");
    assert.equal(done.code, 0, done.stderr);
    assert.ok(done.stdout.includes(spec.brief));
    for (const name of Object.keys(spec.flags ?? {})) assert.ok(done.stdout.includes(`--${name}`));
    for (const example of spec.examples ?? []) assert.ok(done.stdout.includes(example));
  }));
});

Deno.test("splitGlobals() takes the global flags out wherever they stand, but not behind --", () => {
  const split = splitGlobals([
    ...[
      "--state-dir",
      "/s",
      "agent",
      "--json",
      "list",
      "--run-dir=/r",
      "--session-file",
      "/f",
      "--",
      "--json",
    ],
  ]);
  assert.deepEqual(split, {
    json: true,
    stateDir: "/s",
    runDir: "/r",
    sessionFile: "/f",
    rest: ["agent", "list", "--", "--json"],
  });
  assert.deepEqual(splitGlobals(["--run-dir=/a", "--run-dir", "/b", "x"]).runDir, "/b");
  assert.throws(() => splitGlobals(["x", "--state-dir"]), CliError);
});

Deno.test("every command is described once, for people and for programs", () => {
  const paths = commands.map(({ path }) => path.join(" "));
  assert.equal(new Set(paths).size, paths.length);
  const reference = renderReference();
  for (const spec of commands) {
    assert.equal(
      reference.includes(`### bureau ${spec.path.join(" ")}`),
      !spec.hidden,
      `${spec.path}`,
    );
    assert.ok(spec.path.length === 1 || groups.some(({ name }) => name === spec.path[0]));
    const schema = inputSchema(spec) as { properties: Record<string, unknown> };
    for (const name of Object.keys(spec.flags ?? {})) assert.ok(name in schema.properties);
  }
});
