// SPDX-License-Identifier: Apache-2.0

/** Machines as an operator sees and keeps them. */
import assert from "node:assert/strict";
import { step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

interface Machine {
  readonly name: string;
  readonly state: string;
  readonly here: boolean;
  readonly key: { readonly public_key: string } | null;
  readonly cordon: { readonly reason?: string } | null;
  readonly principals: readonly { principal: string; desired: string; phase: string | null }[];
}

Deno.test("machine list and show tell what the fleet's rooms say, from whom it must come", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const put = async (room: string, type: string, key: string, body: unknown) => {
      const path = [room, "state", type, key].map(encodeURIComponent).join("/");
      await matrix(bureau, `rooms/${path}`, { method: "PUT", body });
    };
    const machines = await roomId(bureau, "bureau/fleet/dev/machine");

    await step(t, bureau, "the one that there is", async () => {
      const { machines } = await bureau.json<{ machines: Machine[] }>("machine", "list");
      assert.equal(machines.length, 1);
      const [here] = machines;
      assert.equal(here!.here, true);
      assert.equal(here!.state, "ready");
      const key = await Deno.readTextFile(`${bureau.stateDir}/launcher/machine-key.pub`);
      assert.equal(here!.key!.public_key, key.trim());
      assert.deepEqual(
        here!.principals.map(({ principal, desired }) => [principal, desired]),
        [[`@bureau/fleet/dev/agent/scribe:${bureau.homeserver.serverName}`, "running"]],
      );
      const text = await bureau.cli("machine", "show");
      assert.equal(text.code, 0, text.stderr);
      assert.match(text.stdout, new RegExp(`key +${key.trim()}`));
      assert.match(text.stdout, /agent\/scribe +running/);
    });

    await step(t, bureau, "nobody becomes a machine, or its key, by another's word", async () => {
      const other = `bureau/fleet/dev/machine/other:${bureau.homeserver.serverName}`;
      await put(machines, "m.bureau.machine_info", other, { hostname: "other" });
      const { machines: fleet } = await bureau.json<{ machines: Machine[] }>("machine", "list");
      assert.deepEqual(fleet.map(({ here }) => here), [true]);
      const missing = await bureau.cli("machine", "show", "other");
      assert.equal(missing.code, 5, missing.stderr);
      assert.match(missing.stderr, /Cannot find the machine "other".*\n.*machine list/);
      const bad = await bureau.cli("machine", "show", "../x");
      assert.equal(bad.code, 2, bad.stderr);
    });
  });
});
