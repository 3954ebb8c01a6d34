// SPDX-License-Identifier: Apache-2.0

/**
 * What an init is there for, in the product's own sandbox: bwrap's process 1 reaps, `stop.sh` brings the
 * polite signal, `script` gives the terminal and the exit status.
 */
import assert from "node:assert/strict";
import { eventually, textOf, withLauncher } from "./testing/harness.ts";

Deno.test("a thousand orphans are reaped", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template(
      "orphans",
      // Each subshell ends before its child: the child becomes process 1's, and ends at once.
      "n=0; while [ $n -lt 1000 ]; do (/bin/true & ) ; n=$((n+1)); done; touch made; " +
        "while :; do grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l >left.new; mv left.new left; sleep 0.05; done",
    );
    await bed.create("orphans", await bed.request("orphans", { template }));
    await bed.read("orphans", "made");
    const workspace = `${bed.dir}/state/workspaces/orphans`;
    await eventually(
      "no zombie is left",
      async () => (await textOf(`${workspace}/left`))?.trim() === "0",
    );
  });
});

Deno.test("an interactive shell has job control on a terminal of its own", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("jobs", "", {
      command: ["/bin/bash", "--norc", "--noprofile", "-i"],
    });
    await bed.create("jobs", await bed.request("jobs", { template }));
    const socket = `${await bed.cell("jobs")}/tmux/tmux.sock`;
    const workspace = `${bed.dir}/state/workspaces/jobs`;
    const type = (...keys: string[]) => bed.tmux(socket, "send-keys", "-t", "=agent:", ...keys);
    const saw = (file: string, text: string) =>
      eventually(
        `${file} says ${text}`,
        async () => (await textOf(`${workspace}/${file}`))?.trim() === text,
      );
    await type("tty >/workspace/tty; echo ready >/workspace/ready", "Enter");
    await saw("ready", "ready");
    assert.match((await textOf(`${workspace}/tty`))!, /^\/dev\/pts\/\d+$/m);
    // ^C ends the job in the foreground, and the shell learns how.
    // One job, in the foreground before it says so: between two the shell itself would get ^C.
    await type("sh -c 'touch up1; exec sleep 1000'", "Enter");
    await eventually("the first job runs", async () => await textOf(`${workspace}/up1`) !== null);
    await type("C-c");
    await type("echo $? >/workspace/interrupted", "Enter");
    await saw("interrupted", "130");
    // ^Z stops one, which goes on in the background.
    await type("(touch up2; while [ ! -e go ]; do sleep 0.02; done; echo done >finished)", "Enter");
    await eventually("the second job runs", async () => await textOf(`${workspace}/up2`) !== null);
    await type("C-z");
    await type("jobs -s | grep -c Stopped >/workspace/stopped; bg; touch go", "Enter");
    await saw("stopped", "1");
    await saw("finished", "done");
    await type("exit 7", "Enter");
    await type("exit 7", "Enter");
    assert.equal((await bed.wait("jobs")).code, 7);
  });
});

Deno.test("the polite signal reaches the agent, whose output and status are seen", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template(
      "polite",
      "trap 'echo going; exit 9' TERM; touch ready; while :; do sleep 0.05; done",
    );
    await bed.create("polite", await bed.request("polite", { template }));
    await bed.read("polite", "ready");
    const waiting = bed.wait("polite");
    await bed.destroy("polite", 30_000);
    const exit = await waiting;
    assert.equal(exit.code, 9);
    assert.deepEqual(exit.output, ["going"]);
  });
});
