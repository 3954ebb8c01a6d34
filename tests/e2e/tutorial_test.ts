// SPDX-License-Identifier: Apache-2.0

/** The tutorial, by somebody who does what it says. */
import assert from "node:assert/strict";
import { withBureau } from "./harness.ts";
import { followTutorial } from "./newcomer.ts";
import { PersonTerminal } from "./terminal.ts";

const PATIENCE_MS = 120_000;
const TASKS = new URL("../../tasks/bureau", import.meta.url).pathname;

Deno.test("the tutorial goes through an agent's life with who does what it says", async () => {
  await withBureau(async (bureau) => {
    const before = await bureau.cli("tutorial");
    assert.deepEqual([before.code, /deno task up/.test(before.stderr)], [3, true], before.stderr);
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    await using tutorial = await PersonTerminal.open(300, 100);
    await using second = await PersonTerminal.open(150, 50);
    const places = `BUREAU_STATE_DIR=${bureau.stateDir} BUREAU_RUN_DIR=${bureau.runDir}`;
    for (const terminal of [tutorial, second]) {
      await terminal.enter(`export ${places} PATH=${Deno.env.get("PATH")}; clear`);
    }
    const wrong = await bureau.cli("tutorial", "--from", "9");
    assert.deepEqual([wrong.code, /there are 1 to 6/.test(wrong.stderr)], [2, true], wrong.stderr);
    // Whoever leaves is told how to come back.
    await tutorial.enter(`sh ${TASKS} tutorial; echo "left $?"`);
    await tutorial.shows("1 of 6", PATIENCE_MS);
    await tutorial.press("C-c");
    await tutorial.shows(/tutorial --from 1` goes on here[^]*^left 130$/m, PATIENCE_MS);
    await tutorial.enter(`clear; sh ${TASKS} tutorial --command 'sh ${TASKS}'; echo "left $?"`);
    await tutorial.shows(/^1 of 6[^]*agent-shell$/m, PATIENCE_MS);
    await followTutorial({
      tutorial,
      second,
      bureau: `sh ${TASKS}`,
      asked: async () => {
        const { pending } = await bureau.json<{ pending: { host: string }[] }>("egress", "list");
        return pending.map(({ host }) => host);
      },
    });
  });
});
