// SPDX-License-Identifier: Apache-2.0

/** matrix-nio, a client in another language by other people, works with the homeserver. */
import assert from "node:assert/strict";
import { ROOT, run, skip } from "../e2e/harness.ts";
import { withHomeserver } from "../homeserver/provider.ts";
import { pythonWith } from "../homeserver/python.ts";

const VERSION = "0.25.2";

Deno.test("matrix-nio: rooms, state, typing, receipts, media, profiles, aliases, devices", async (t) => {
  const found = await pythonWith("matrix-nio", VERSION);
  if ("reason" in found) return await skip(t, found.reason);
  await withHomeserver(t, async (homeserver) => {
    const [alice, bob] = [
      await homeserver.registerUser("alice"),
      await homeserver.registerUser("bob"),
    ];
    const program = `${ROOT}/tests/homeserver/clients/nio_client.py`;
    const accounts = [alice, bob].map(({ id, password }) => `${id} ${password}`);
    const { code, stdout, stderr } = await run(found.python, [
      program,
      homeserver.url,
      ...accounts,
    ]);
    assert.equal(code, 0, stdout + stderr);
    assert.equal(stdout.trim().split("\n").length, 13, stdout);
  });
});
