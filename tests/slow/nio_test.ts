// SPDX-License-Identifier: Apache-2.0

/** matrix-nio, a client in another language by other people, works with the homeserver. */
import assert from "node:assert/strict";
import { withProxy } from "../../src/proxy/testing/harness.ts";
import { relay } from "../../src/proxy/testing/homeserver.ts";
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
    await play(found.python, homeserver.url, [alice, bob].map(words));
  });
});

Deno.test("matrix-nio: the same through the proxies of two principals", async (t) => {
  const found = await pythonWith("matrix-nio", VERSION);
  if ("reason" in found) return await skip(t, found.reason);
  await withHomeserver(t, async (homeserver) => {
    const alice = await homeserver.registerUser("alice");
    const bob = await homeserver.registerUser("bob");
    const through = (
      account: typeof alice,
      body: (url: string) => Promise<void>,
    ) =>
      withProxy({
        matrix: {
          homeserver_url: homeserver.url,
          user_id: account.id,
          access_token: account.token,
        },
        grants: [{ actions: ["matrix/**"] }],
      }, async ({ sockets }) => {
        await using port = relay(sockets.agent);
        await body(port.url);
      });
    await through(alice, (one) =>
      through(bob, (two) =>
        play(found.python, one, [
          `${alice.id} any at ${one}`,
          `${bob.id} any at ${two}`,
        ])));
  });
});

const words = ({ id, password }: { id: string; password: string }) => `${id} ${password}`;

async function play(python: string, url: string, accounts: readonly string[]): Promise<void> {
  const program = `${ROOT}/tests/homeserver/clients/nio_client.py`;
  const { code, stdout, stderr } = await run(python, [program, url, ...accounts]);
  assert.equal(code, 0, stdout + stderr);
  assert.equal(stdout.trim().split("\n").length, 13, stdout);
}
