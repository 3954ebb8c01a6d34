// SPDX-License-Identifier: Apache-2.0

/** matrix-js-sdk's full client works through two principals' proxies, by grants, without any real token. */
import assert from "node:assert/strict";
import { withProxy } from "../../../src/proxy/testing/harness.ts";
import { relay } from "../../../src/proxy/testing/homeserver.ts";
import { ROOT, run, skip } from "../../e2e/harness.ts";
import type { Account } from "../registration.ts";
import { type TestHomeserver, withHomeserver } from "../provider.ts";

const SDK = `${ROOT}/tests/homeserver/clients/sdk`;
/** What the program does; nothing of `matrix/raw-api`. */
const ACTIONS = ["read", "send/**", "state/**", "join", "leave", "invite", "create-room", "profile"]
  .concat("upload", "account-data").map((name) => `matrix/${name}`);

interface Result {
  readonly failure: string | null;
  readonly checked: readonly string[];
  readonly missing: readonly string[];
  readonly errors: readonly string[];
}

/** Runs `body` with addresses that speak for each account. */
async function throughProxies(
  homeserver: TestHomeserver,
  accounts: readonly Account[],
  actions: readonly string[],
  body: (urls: readonly string[]) => Promise<void>,
  urls: readonly string[] = [],
): Promise<void> {
  const [account, ...rest] = accounts;
  if (account === undefined) return await body(urls);
  await withProxy({
    matrix: { homeserver_url: homeserver.url, user_id: account.id, access_token: account.token },
    grants: [{ actions: [...actions] }],
    denials: [],
  }, async ({ sockets }) => {
    await using port = relay(sockets.agent);
    await throughProxies(homeserver, rest, actions, body, [...urls, port.url]);
  });
}

async function play(urls: readonly string[], accounts: readonly Account[]): Promise<Result> {
  const hosts = urls.map((url) => new URL(url).host).join();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--check", "--config", `${SDK}/deno.json`]
      // Not the homeserver's own address: what works, works through the proxies.
      .concat([`--allow-net=${hosts}`, `${SDK}/client.ts`, urls[0]!, ...urls]),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const users = accounts.map(({ localpart }) => localpart).join(" ");
  await writer.write(new TextEncoder().encode(users));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const line = new TextDecoder().decode(stdout).trim();
  assert.ok(line !== "", new TextDecoder().decode(stderr));
  return JSON.parse(line);
}

Deno.test("matrix-js-sdk through the proxies: the same as without, and not what is not granted", async (t) => {
  const fetched = await run(Deno.execPath(), [
    ...["cache", "--quiet", "--config", `${SDK}/deno.json`, `${SDK}/client.ts`],
  ]);
  if (fetched.code !== 0) {
    return await skip(t, `matrix-js-sdk cannot be had: ${fetched.stderr.trim().slice(-200)}`);
  }
  await withHomeserver(t, async (homeserver) => {
    const accounts = [
      await homeserver.registerUser("alice"),
      await homeserver.registerUser("bob"),
    ];
    await throughProxies(homeserver, accounts, ACTIONS, async (urls) => {
      const { failure, checked, errors } = await play(urls, accounts);
      assert.equal(failure, null, `${failure}\nafter: ${checked.join(", ")}`);
      assert.equal(checked.length, 16, checked.join(", "));
      assert.deepEqual(errors, []);
    });
    const without = ACTIONS.filter((action) => action !== "matrix/create-room");
    await throughProxies(homeserver, accounts, without, async (urls) => {
      const { failure, checked } = await play(urls, accounts);
      assert.match(String(failure), /M_FORBIDDEN|matrix\/create-room/);
      assert.deepEqual(checked, []);
    });
  });
});
