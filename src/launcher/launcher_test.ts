// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { bundleFor, withLauncher } from "./testing/harness.ts";

Deno.test("create() starts the agent and destroy() leaves nothing", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("one", "id > out; exec sleep 1000");
    const status = await bed.create(
      "one",
      await bed.request("one", { template, bundle: bundleFor("one") }),
    );
    assert.equal(status.phase, "running");
    assert.match(await bed.read("one", "out"), /uid=1000\(agent\)/);
  });
});
