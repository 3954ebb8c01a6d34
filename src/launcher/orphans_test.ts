// SPDX-License-Identifier: Apache-2.0

/**
 * `--die-with-parent` has a gap: a launcher that is killed before bwrap (0.8) has asked the kernel to end it
 * too leaves that bwrap behind, and what it has just started. What comes of such an orphan is tried here.
 */
import assert from "node:assert/strict";
import { eventually, withLauncher } from "./testing/harness.ts";

/** How long after the request the launcher is killed, in milliseconds: a start takes some hundred. */
const MOMENTS = [0, 5, 10, 15, 20, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300];

Deno.test("a launcher that is killed at any moment of a start leaves no proxy, and the next one nothing else", async () => {
  await withLauncher(async (bed) => {
    let interrupted = 0;
    for (const [n, moment] of MOMENTS.entries()) {
      const name = `gap-${n}`;
      const started = bed.create(name, await bed.request(name)).then(() => true, () => false);
      await new Promise((resolve) => setTimeout(resolve, moment));
      await bed.end("SIGKILL");
      if (!(await started)) interrupted++;
      // A proxy that was given its secrets can't say that it is ready, for nobody listens, and ends.
      await eventually("no program of the service's is left", async () => {
        const left = await bed.processes();
        return left.every(({ command }) => !command.startsWith("/opt/bureau/deno"));
      });
      await bed.start();
      const principals = (await bed.launcher.client.call("list")).principals
        .filter(({ phase }) => phase === "running");
      // What it does not own is gone; what it owns it can end.
      for (const { principal } of principals) {
        await bed.launcher.client.call("destroy", { params: { principal } });
      }
      await eventually("no agent is left", async () => {
        const left = await bed.processes();
        return left.every(({ command }) => !/^sleep 1000|^\/usr\/bin\/tmux -f/.test(command));
      });
    }
    // Control: at least one start was cut short.
    assert.ok(interrupted > 0);
    // A bwrap that waits for a user map that nobody writes any more holds nothing, and is not looked for.
    await eventually("they are gone", async () => {
      const left = (await bed.processes()).filter(({ command }) =>
        command.startsWith("/usr/bin/bwrap ")
      );
      for (const { pid } of left) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // It ended by itself.
        }
      }
      return left.length === 0;
    });
  });
});
