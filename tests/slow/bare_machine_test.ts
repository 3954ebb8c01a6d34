// SPDX-License-Identifier: Apache-2.0

/** What the README promises a stranger on a bare Debian 12, done there: as root, then as an ordinary user. */
import assert from "node:assert/strict";
import { eventually, type Finished, freePort, ROOT } from "../e2e/harness.ts";
import { followTutorial } from "../e2e/newcomer.ts";
import { PersonTerminal } from "../e2e/terminal.ts";
import { Machine, whyNot } from "./machine/machine.ts";

const reason = whyNot();
if (reason !== null) console.log(`skipping the bare machine: ${reason}`);

/** The README's first command, with ports only where somebody on this machine has the usual ones. */
function firstCommand(): string {
  const usual = [6167, 6168].every((port) => {
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return true;
    } catch {
      return false;
    }
  });
  const ports = usual
    ? ""
    : ` --listen 127.0.0.1:${freePort()} --authority 127.0.0.1:${freePort()}`;
  return `sh tasks/bootstrap up --detach${ports}`;
}

const said = (done: Finished) => `status ${done.code}\n${done.stdout}${done.stderr}`;

/** The tutorial, in two terminals of that machine, by somebody who types what it says. */
async function tutorial(machine: Machine, user: string): Promise<void> {
  // Its lines stay whole, and all of it on the screen.
  await using first = await PersonTerminal.open(300, 100);
  await using second = await PersonTerminal.open(150, 50);
  for (const terminal of [first, second]) {
    await terminal.enter(`exec ${machine.shell(user)}`);
    await terminal.enter("cd bureau; clear; pwd");
    await terminal.shows(/^\/\S+\/bureau$/m);
    await terminal.enter("clear");
  }
  await first.enter('sh tasks/bureau tutorial; echo "left $?"');
  await followTutorial({
    tutorial: first,
    second,
    bureau: "sh tasks/bureau",
    asked: async () => {
      const { stdout } = await machine.run("sh bureau/tasks/bureau egress list --json", user);
      return JSON.parse(stdout).pending.map(({ host }: { host: string }) => host);
    },
  });
}

/** From a clone to an agent's report and back to nothing, as `user`; `meanwhile`: what else they do. */
async function firstUse(
  machine: Machine,
  user: string,
  state: string,
  meanwhile = () => Promise.resolve(),
): Promise<void> {
  const mounts = await machine.mounts();
  const inFolder = (command: string) => machine.run(`cd bureau && ${command}`, user);

  const up = await inFolder(firstCommand());
  assert.equal(up.code, 0, said(up));
  assert.match(up.stdout, /^deno is not in your PATH: .*`sh tasks\/up`/m);
  assert.match(up.stdout, /Bureau is up\./);
  assert.ok(up.stdout.includes(`state in ${state}.`), said(up));
  assert.match(up.stdout, /sh tasks\/up --down/);

  await eventually("the agent reports", async () => {
    const messages = await inFolder("sh tasks/bureau matrix messages agent/scribe");
    if (messages.code !== 0) throw new Error(said(messages));
    return /Repository at commit [0-9a-f]{12}[\s\S]*Time-stamped \(RFC 3161\)/.test(
      messages.stdout,
    );
  }, 30_000);
  const status = await inFolder("sh tasks/bureau status");
  assert.equal(status.code, 0, said(status));
  assert.match(status.stdout, /^agent\/scribe +running/m);
  await meanwhile();

  const down = await inFolder("sh tasks/up --down");
  assert.equal(down.code, 0, said(down));
  await eventually("nothing runs any more", async () => {
    const left = await machine.processes();
    if (left.length > 0) throw new Error(left.join("\n"));
    return true;
  });
  assert.equal(await machine.mounts(), mounts, "a mount is left");
}

Deno.test({
  name:
    "README's first command brings a bare Debian 12 to an agent's report, as root and as a user",
  ignore: reason !== null,
  async fn(t) {
    const readme = await Deno.readTextFile(`${ROOT}/README.md`);
    assert.match(readme, /^sh tasks\/bootstrap up /m, "the README's first command is another one");
    const base = await Deno.makeTempDir({ prefix: "b-bare-" });
    // An ordinary user of the machine passes through here.
    await Deno.chmod(base, 0o711);
    try {
      await using machine = await Machine.boot(base);
      const bundled = await new Deno.Command("git", {
        args: ["-C", ROOT, "bundle", "create", "--quiet", `${machine.root}/srv/bureau`, "HEAD"],
        env: { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "safe.directory", GIT_CONFIG_VALUE_0: "*" },
        stderr: "inherit",
      }).output();
      assert.ok(bundled.success, "this checkout cannot be cloned");
      for (const program of ["deno", "bwrap", "tmux", "jq", "sudo"]) {
        assert.notEqual((await machine.run(`command -v ${program}`)).code, 0, program);
      }
      assert.equal((await machine.run("useradd --create-home ada")).code, 0);
      for (const user of ["root", "ada"]) {
        const cloned = await machine.run("git clone --quiet /srv/bureau bureau", user);
        assert.equal(cloned.code, 0, said(cloned));
      }

      await t.step("an ordinary user without the packages is told which, in one line", async () => {
        const done = await machine.run("sh bureau/tasks/bootstrap up --detach", "ada");
        assert.equal(done.code, 1, said(done));
        assert.match(
          done.stderr,
          /^hint: ask an administrator to run: apt-get install --no-install-recommends bubblewrap tmux jq$/m,
        );
        assert.deepEqual(await machine.processes(), []);
      });
      await t.step("root's first use", () => firstUse(machine, "root", "/var/lib/bureau"));
      await t.step("without npm and Deno the message says what to install", async () => {
        await machine.run("mv /usr/bin/npm /usr/bin/npm.away");
        const done = await machine.run("sh bureau/tasks/bootstrap up --detach", "ada");
        await machine.run("mv /usr/bin/npm.away /usr/bin/npm");
        assert.equal(done.code, 1, said(done));
        assert.match(done.stderr, /^error: Cannot find Deno 2\.9 or newer, nor npm/m);
        assert.match(done.stderr, /^hint: .*apt-get install npm/m);
      });
      await t.step("an ordinary user's first use, with the tutorial", async () => {
        const state = "/home/ada/.local/state/bureau";
        await firstUse(machine, "ada", state, () => tutorial(machine, "ada"));
      });
      await t.step("README's test command, for a part of the tests", async () => {
        const done = await machine.run(
          "cd bureau && NO_COLOR=1 sh tasks/bootstrap test src/lib/ref src/launcher/init_test.ts",
        );
        assert.equal(done.code, 0, said(done));
        assert.match(done.stdout, /ok \| \d+ passed/);
      });
      await t.step("a checkout that is root's serves a user who has a Deno", async () => {
        assert.equal((await machine.run("git clone --quiet /srv/bureau /opt/bureau")).code, 0);
        const bare = await machine.run("sh /opt/bureau/tasks/bootstrap up", "ada");
        assert.equal(bare.code, 1, said(bare));
        assert.match(bare.stderr, /^hint: clone the repository into a directory of your own$/m);
        const own = await machine.run(
          'BUREAU_DENO=$(ls "$PWD"/bureau/.deno/node_modules/@deno/*/deno) ' +
            'sh /opt/bureau/tasks/bureau version && ls -d "$PWD"/.local/state/bureau/dist-*',
          "ada",
        );
        assert.equal(own.code, 0, said(own));
        assert.match(own.stdout, /^bureau \d/);
      });
    } finally {
      await new Deno.Command("rm", { args: ["-rf", "--one-file-system", base] }).output();
    }
  },
});
