// SPDX-License-Identifier: Apache-2.0

/**
 * In a mount namespace where /nix is empty: builds an environment with a real Nix, and follows an agent whose
 * programs come from it through an update, a rollback and a garbage collection. Run by ../environment_test.ts.
 */
import assert from "node:assert/strict";
import { type Bureau, eventually, run, withBureau } from "../../e2e/harness.ts";

interface Generation {
  readonly number: number;
  readonly closure: string;
  readonly result: string;
  readonly paths: number;
}

/** What the agent finds, line by line. */
const LOOK = `tools-version
echo "ls is $(command -v ls)"
echo "programs of its /usr/bin:" $(ls /usr/bin)
echo "in its store:" $(ls /nix/store)
[ -e /usr/bin/perl ] && echo "perl is here"
echo looked`;

async function agentSays(bureau: Bureau, wanted: RegExp): Promise<string> {
  return await eventually(`the agent says ${wanted}`, async () => {
    const { stdout } = await bureau.cli("agent", "output", "agent/second");
    return wanted.test(stdout) && /^looked$/m.test(stdout) ? stdout : null;
  });
}

async function must(bureau: Bureau, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await bureau.cli(...words);
  assert.equal(code, 0, `${words.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

async function refused(bureau: Bureau, expected: RegExp, ...words: string[]): Promise<void> {
  const { code, stderr } = await bureau.cli(...words);
  assert.notEqual(code, 0, words.join(" "));
  assert.match(stderr, expected);
}

const [flake] = Deno.args as [string];
const TEMPLATE = "bureau/template:boxed";

await withBureau(async (bureau) => {
  const started = await bureau.up("--detach", "--no-agent");
  assert.equal(started.code, 0, started.stdout + started.stderr);
  const file = `${bureau.stateDir}/boxed.json`;
  const template = {
    description: "Says what it sees",
    inherits: ["bureau/template:base"],
    command: ["/bin/sh", "-c", `${LOOK}; exec sleep infinity`],
  };
  await Deno.writeTextFile(file, JSON.stringify(template));
  await must(bureau, "template", "push", file, TEMPLATE);
  await must(bureau, "agent", "create", "agent/second", "--template", TEMPLATE);
  // Control: before, it sees this machine's.
  assert.match(await agentSays(bureau, /perl is here/), /ls is \/usr\/bin\/ls/);

  const { outputs } = await bureau.json<{ outputs: { output: string }[] }>(
    ...["environment", "outputs", flake],
  );
  assert.deepEqual(outputs.map(({ output }) => output), ["bare", "tools"]);
  await refused(
    bureau,
    /no path of its closure has bin\/script/,
    "environment",
    "build",
    "tools",
    `${flake}#bare`,
  );
  await refused(bureau, /Cannot build/, "environment", "build", "tools", `${flake}#nothing`);
  assert.deepEqual(
    (await bureau.json<{ environments: [] }>("environment", "list")).environments,
    [],
  );

  const { generation: first } = await bureau.json<{ generation: Generation }>(
    ...["environment", "build", "tools", `${flake}#tools`],
  );
  assert.equal(first.paths, 4);
  const again = await bureau.json<{ changed: boolean }>(
    ...["environment", "build", "tools", `${flake}#tools`],
  );
  assert.equal(again.changed, false);

  const use = ["environment", "use", "tools", "--template", TEMPLATE];
  const notAllowed = /allows no binds from "\/nix\/store"[^]*--allow-store/;
  await refused(bureau, notAllowed, ...use, "--yes");
  await refused(bureau, /without being told so/, ...use, "--allow-store");
  // What was declined changed nothing, the policy neither.
  await refused(bureau, notAllowed, ...use, "--yes");
  await must(bureau, ...use, "--allow-store", "--yes");
  const boxed = await agentSays(bureau, /^tools 1\.0$/m);
  assert.match(boxed, /ls is \/usr\/local\/bin\/ls/);
  assert.doesNotMatch(boxed, /perl is here/);
  assert.match(boxed, /^programs of its \/usr\/bin: env script$/m);
  const explained = await must(bureau, "sandbox", "explain", "agent/second");
  assert.match(explained, /4 paths of \/nix\/store, and nothing else of it/);

  // Nothing differs, so nothing is left of the try either.
  const same = await bureau.json<{ changed: boolean }>("environment", "update", "tools", "--yes");
  assert.equal(same.changed, false);
  await Deno.writeTextFile(`${flake}/version`, "2.0");
  const dry = await must(bureau, "environment", "update", "tools", "--dry-run");
  assert.match(dry, /tools: 1\.0 → 2\.0[^]*nothing was changed/);
  const generations = async () =>
    (await bureau.json<{ generations: (Generation & { current: boolean })[] }>(
      ...["environment", "show", "tools"],
    )).generations;
  assert.deepEqual((await generations()).map(({ number }) => number), [1]);
  await refused(bureau, /without being told so/, "environment", "update", "tools");
  assert.deepEqual((await generations()).map(({ number }) => number), [1]);
  await must(bureau, "environment", "update", "tools", "--yes");
  await agentSays(bureau, /^tools 2\.0$/m);
  assert.deepEqual((await generations()).map(({ current }) => current), [false, true]);

  await must(bureau, "environment", "rollback", "tools", "--yes");
  await agentSays(bureau, /^tools 1\.0$/m);
  await refused(bureau, /it is in use/, "environment", "remove", "tools", "--yes");

  // One agent alone, over its template.
  await must(
    bureau,
    "environment",
    "use",
    "tools",
    "--agent",
    "agent/second",
    "--generation",
    "2",
    "--yes",
  );
  await agentSays(bureau, /^tools 2\.0$/m);
  const { users } = await bureau.json<{ users: { kind: string; generation: number }[] }>(
    ...["environment", "show", "tools"],
  );
  assert.deepEqual(users.map(({ kind, generation }) => `${kind} ${generation}`).sort(), [
    "agent 2",
    "template 1",
  ]);

  // Both generations are roots; without them Nix takes all of it.
  await collectGarbage();
  assert.ok(await exists(first.closure) && await exists(first.result));
  await must(bureau, "agent", "destroy", "agent/second", "--yes");
  await must(bureau, "template", "push", file, TEMPLATE);
  await must(bureau, "environment", "remove", "tools", "--yes");
  await collectGarbage();
  assert.ok(!await exists(first.closure) && !await exists(first.result));
});

async function collectGarbage(): Promise<void> {
  const { code, stderr } = await run("nix-store", ["--gc"]);
  assert.equal(code, 0, stderr);
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}
