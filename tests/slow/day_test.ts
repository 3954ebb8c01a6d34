// SPDX-License-Identifier: Apache-2.0

/** A day of a daemon's parts, by hand (src/daemon/testing/day.ts): what it holds at its end is what it held in the morning. */
import assert from "node:assert/strict";
import type { Held } from "../../src/daemon/testing/day.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
/** What a heap of some ten megabytes may differ by, whatever was collected when. A leak of 1 KB a token would be more. */
const SLACK = 3 * 1024 * 1024;

Deno.test("24 hours leave no memory, descriptor, timer or file behind", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--cached-only", "--allow-all", "--unstable-worker-options"],
      ...["--v8-flags=--expose-gc", `--config=${ROOT}deno.json`],
      `${ROOT}src/daemon/testing/day.ts`,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), 20 * 60_000);
  const { stdout, stderr } = await child.output().finally(() => clearTimeout(timer));
  const text = new TextDecoder();
  const said = text.decode(stdout);
  assert.notEqual(said, "", text.decode(stderr));
  const { results: [morning, night], left } = JSON.parse(said) as {
    results: [Held, Held];
    left: number;
  };
  // Ten callers, one token every four minutes: something did happen.
  assert.ok(night.tokens > 10 * 24 * 15, `${night.tokens} tokens`);
  assert.deepEqual([night.sleepers, night.files], [morning.sleepers, morning.files]);
  // Every hour a sandbox with two sockets starts anew; the runtime has some of its own, now and then.
  assert.ok(
    night.descriptors <= morning.descriptors + 4,
    `from ${morning.descriptors} to ${night.descriptors} descriptors`,
  );
  assert.ok(night.heap - morning.heap < SLACK, `from ${morning.heap} to ${night.heap} bytes`);
  assert.equal(left, 0, "timers after the end");
});
