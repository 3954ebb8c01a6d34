// SPDX-License-Identifier: Apache-2.0

/** What a killed bwrap leaves: a child that waits for it for ever, and that no die-with-parent ends. */
import assert from "node:assert/strict";
import { skip, withBureau } from "./harness.ts";

Deno.test("`up --down` ends a sandbox that was never made to its end, and its control groups go", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    const record = await Deno.readTextFile(`${bureau.runDir}/cgroups`).catch(() => null);
    if (record === null) return await skip(t, "this machine gives us no control groups");
    const place = /=(\/\S+)/.exec(record.replaceAll(",", " "))?.[1];
    assert.ok(place !== undefined, record);
    const dir = await Deno.makeTempDir({ prefix: "b-hm" });
    await Deno.copyFile("/usr/bin/sleep", `${dir}/bwrap`);
    // It has no name of this Bureau's about it, as the real one hasn't.
    const process = new Deno.Command("sh", {
      args: ["-c", 'echo $$ >"$1/up/cgroup.procs" && exec "$0" 600', `${dir}/bwrap`, place],
      stdin: "null",
    }).spawn();
    try {
      const down = await bureau.down();
      assert.equal(down.code, 0, down.stderr);
      const stat = await Deno.readTextFile(`/proc/${process.pid}/stat`).catch(() =>
        "gone (gone) Z"
      );
      assert.match(stat, /^\S+ \(.*\) Z/);
    } finally {
      try {
        process.kill("SIGKILL");
      } catch {
        // As it should be.
      }
      await process.status;
      await Deno.remove(dir, { recursive: true });
    }
  });
});
