// SPDX-License-Identifier: Apache-2.0

/** matrix-js-sdk's full client works, and finds missing only what is known to be. */
import assert from "node:assert/strict";
import { ROOT, run, skip } from "../../e2e/harness.ts";
import { type TestHomeserver, withHomeserver } from "../provider.ts";

/** What a homeserver may lack, and why that is right. */
const MAY_LACK: Readonly<Record<string, string>> = {
  "GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports":
    "an unstable proposal for calls, which the SDK tries first everywhere",
  "POST /_matrix/client/v3/search": "optional, and the SDK says so to its user",
};

interface Result {
  readonly failure: string | null;
  readonly checked: readonly string[];
  readonly missing: readonly string[];
  readonly errors: readonly string[];
}

/**
 * A configuration and lock file of its own: what is in Bureau's, everybody fetches who starts Bureau. The program ends
 * by itself, so that the SDK's timers don't keep this process.
 */
const SDK = `${ROOT}/tests/homeserver/clients/sdk`;

async function play(homeserver: TestHomeserver): Promise<Result> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--check", "--config", `${SDK}/deno.json`]
      .concat([`--allow-net=${new URL(homeserver.url).host}`, `${SDK}/client.ts`, homeserver.url]),
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(homeserver.registrationToken));
  await writer.close();
  const { stdout, stderr } = await child.output();
  const line = new TextDecoder().decode(stdout).trim();
  assert.ok(line !== "", new TextDecoder().decode(stderr));
  return JSON.parse(line);
}

Deno.test("matrix-js-sdk: rooms, threads, edits, receipts, typing, media, spaces", async (t) => {
  const fetched = await run(Deno.execPath(), [
    ...["cache", "--quiet", "--config", `${SDK}/deno.json`, `${SDK}/client.ts`],
  ]);
  if (fetched.code !== 0) {
    return await skip(t, `matrix-js-sdk cannot be had: ${fetched.stderr.trim().slice(-200)}`);
  }
  await withHomeserver(t, async (homeserver) => {
    const { failure, checked, missing, errors } = await play(homeserver);
    assert.equal(failure, null, `${failure}\nafter: ${checked.join(", ")}`);
    assert.equal(checked.length, 16, checked.join(", "));
    assert.deepEqual(missing.filter((endpoint) => !(endpoint in MAY_LACK)), []);
    assert.deepEqual(errors, []);
  });
});
