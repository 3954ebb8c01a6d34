// SPDX-License-Identifier: Apache-2.0

/** `agent create` without a name: somebody answers its questions, and has an agent in a room. */
import assert from "node:assert/strict";
import { type Bureau, eventually, ROOT, run, withBureau } from "./harness.ts";
import { PersonTerminal } from "./terminal.ts";

const SECRET = "sk-test-not-to-be-seen-anywhere";
const PATIENCE_MS = 120_000;

async function open(bureau: Bureau): Promise<PersonTerminal> {
  const terminal = await PersonTerminal.open(150, 60);
  const places = `BUREAU_STATE_DIR=${bureau.stateDir} BUREAU_RUN_DIR=${bureau.runDir}`;
  await terminal.enter(`export ${places} PATH=${Deno.env.get("PATH")}; cd ${bureau.repo}; clear`);
  await terminal.enter(`sh ${ROOT}/tasks/bureau agent create; echo "left $?"`);
  await terminal.shows(/agent-shell .*[^]*Template \[agent-shell\]: *$/, PATIENCE_MS);
  return terminal;
}

Deno.test("agent create asks for what is missing, shows the command that does the same, and waits for the agent", async () => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stdout + up.stderr);

    // Where nobody can be asked it says what is missing.
    const silent = await bureau.cli("agent", "create");
    assert.deepEqual(
      [silent.code, /NAME is missing/.test(silent.stderr)],
      [2, true],
      silent.stderr,
    );

    // The usual answers, but for a name that is taken, and one that is none.
    {
      await using terminal = await open(bureau);
      await terminal.enter("no-such-template");
      await terminal.shows(/give one of the list/, PATIENCE_MS);
      await terminal.enter("");
      await terminal.enter("agent/scribe");
      await terminal.shows(/there is "agent\/scribe" already/, PATIENCE_MS);
      await terminal.enter("Not One");
      await terminal.shows(/lower-case letters/, PATIENCE_MS);
      await terminal.enter("agent/mine");
      await terminal.enter(".");
      await terminal.shows(/List \[none\]: *$/, PATIENCE_MS);
      await terminal.enter("npm");
      const shown = await terminal.shows(
        /Create it\? yes, no, or dry-run \[yes\]: *$/,
        PATIENCE_MS,
      );
      assert.match(
        shown,
        /bureau agent create agent\/mine --template agent-shell --repo \. --wait$/m,
      );
      assert.match(shown, /bureau egress allow agent\/mine preset:npm$/m);
      await terminal.enter("");
      await terminal.shows(/agent\/mine is assigned to[^]*it runs[^]*^left 0$/m, PATIENCE_MS);
    }
    const { phase } = await bureau.json<{ phase: string }>("agent", "show", "agent/mine");
    assert.equal(phase, "running");
    const diff = await bureau.cli("agent", "diff", "agent/mine");
    assert.equal(diff.code, 0, diff.stdout + diff.stderr);
    await eventually("it may reach npm", async () => {
      const shown = await bureau.cli("egress", "show", "agent/mine");
      return /registry\.npmjs\.org/.test(shown.stdout);
    });

    // A credential: typed unseen, in no command line, and sealed where somebody says yes.
    {
      await using terminal = await open(bureau);
      await terminal.enter("agent-native");
      await terminal.enter("agent/thinker");
      await terminal.shows(/empty: none\): *$/, PATIENCE_MS);
      await terminal.enter("");
      await terminal.shows(/not shown\): *$/, PATIENCE_MS);
      await terminal.enter(SECRET);
      await terminal.shows(
        /may be sent to, with commas \[api\.anthropic\.com:443\]: *$/,
        PATIENCE_MS,
      );
      await terminal.enter("");
      await terminal.enter("");
      const shown = await terminal.shows(/Create it\?[^]*: *$/, PATIENCE_MS);
      assert.ok(!shown.includes(SECRET), shown);
      assert.match(shown, /--credentials FILE$/m);
      await terminal.enter("dry-run");
      const said = await terminal.shows(
        /would make .*agent\/thinker[^]*nothing was changed[^]*^left 0$/m,
        PATIENCE_MS,
      );
      assert.ok(!said.includes(SECRET), said);
    }
    const thinker = await bureau.cli("agent", "show", "agent/thinker");
    assert.equal(thinker.code, 5, thinker.stdout);

    // Whoever leaves has changed nothing.
    await using terminal = await open(bureau);
    await terminal.press("C-c");
    await terminal.shows(/Cancelled: nothing was changed[^]*^\$ *$/m, PATIENCE_MS);
  });
});

Deno.test("agent create --wait says what an agent said, and why one does not run", async () => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    const template = `${bureau.repo}/failing.yaml`;
    await Deno.writeTextFile(
      template,
      "description: ends at once\ninherits: [bureau/template:base]\ncommand: [/bin/sh, -c, 'echo no such luck >&2; exit 3']\nrestart_policy: never\n",
    );
    const pushed = await run("sh", [
      "tasks/bureau",
      "template",
      "push",
      template,
      "bureau/template:failing",
      "--state-dir",
      bureau.stateDir,
      "--run-dir",
      bureau.runDir,
    ]);
    assert.equal(pushed.code, 0, pushed.stdout + pushed.stderr);
    const failed = await bureau.cli(
      "agent",
      "create",
      "agent/broken",
      "--template",
      "failing",
      "--wait",
    );
    assert.equal(failed.code, 1, failed.stdout + failed.stderr);
    assert.match(failed.stderr, /error: .*agent\/broken.* it is exited/);
    assert.match(failed.stderr, /no such luck/);

    // One screen says that it is not well, and what to do; for scripts by a status.
    assert.equal((await bureau.cli("status", "--check")).code, 0);
    const template2 = (await Deno.readTextFile(template)).replace("never", "on-failure");
    await Deno.writeTextFile(template, template2);
    const again = await run("sh", [
      ...["tasks/bureau", "template", "push", template, "bureau/template:failing"],
      ...["--state-dir", bureau.stateDir, "--run-dir", bureau.runDir],
    ]);
    assert.equal(again.code, 0, again.stdout + again.stderr);
    await bureau.cli("agent", "create", "agent/crashing", "--template", "failing");
    await eventually("status says so", async () => {
      const status = await bureau.cli("status", "--check");
      assert.match(status.stdout, /^BAD +agent\/crashing: [^]*?\n +→ \S/m);
      assert.equal(status.code, 1);
      return true;
    }, PATIENCE_MS);
    const { homeserver, needs, well } = await bureau.json<
      { homeserver: { reachable: boolean }; needs: { subject: string }[]; well: boolean }
    >("status");
    assert.deepEqual([homeserver.reachable, well], [true, false]);
    assert.ok(needs.some(({ subject }) => subject === "agent/crashing"), JSON.stringify(needs));
    const watching = await PersonTerminal.open(80, 24);
    try {
      const places = `BUREAU_STATE_DIR=${bureau.stateDir} BUREAU_RUN_DIR=${bureau.runDir}`;
      await watching.enter(`export ${places} PATH=${Deno.env.get("PATH")}; clear`);
      await watching.enter(`sh ${ROOT}/tasks/bureau status --watch; echo "left $?"`);
      await watching.shows(/^BAD +agent\/crashing[^]*agent\/broken/m, PATIENCE_MS);
      await watching.press("C-c");
      await watching.shows(/^left \d+|^\$ *$/m, PATIENCE_MS);
    } finally {
      await watching[Symbol.asyncDispose]();
    }
  });
});
