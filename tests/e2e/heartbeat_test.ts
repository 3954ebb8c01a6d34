// SPDX-License-Identifier: Apache-2.0

/** What a machine says of itself in the fleet's machine room. */
import assert from "node:assert/strict";
import { eventually, withBureau } from "./harness.ts";
import { roomId, stateEvents } from "./matrix.ts";

Deno.test("a machine that was just started says what it is made of, and how it is", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const room = await roomId(bureau, "bureau/fleet/dev/machine");
    const status = await eventually(
      "its status",
      async () => (await stateEvents(bureau, room, "m.bureau.machine_status"))[0],
      60_000,
    );
    const [info] = await stateEvents(bureau, room, "m.bureau.machine_info");
    assert.equal(info!.content["hostname"], Deno.hostname());
    assert.equal(info!.content["principal"], status.sender);
    assert.equal(status.content["principal"], status.sender);
    assert.ok((status.content["memory_used_mb"] as number) > 0);
    assert.ok((status.content["sandboxes"] as { running: number }).running >= 1);
  });
});
