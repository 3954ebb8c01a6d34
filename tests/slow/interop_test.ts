// SPDX-License-Identifier: Apache-2.0

/** What tests/interop proves, in the sizes that take a while: 2 GiB both ways by hash, 10,000 aborted requests. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { flood } from "../interop/flood.ts";
import { programs } from "../interop/packages.ts";
import { type Agent, proxyPid, type Running, withRig } from "../interop/rig.ts";
import { bytes, hashOf, startEcho } from "../interop/servers/echo.ts";
import { authorityOf } from "../interop/servers/tls.ts";

const SIZE = Number(Deno.env.get("BUREAU_TEST_BLOB") ?? 2 * 1024 ** 3);
/**
 * A body is passed on in pieces: whatever its length, the proxy holds a few of them. 60 MB is usual; a machine with much
 * else to do collects garbage later. What it takes exactly is tests/bench/bench_proxy.ts's to say.
 */
const MEMORY_MB = 160;

/** The most that was private to a process, looked at until `over`. */
async function peakMb(pid: number, over: () => boolean): Promise<number> {
  let peak = 0;
  while (!over()) {
    const text = await Deno.readTextFile(`/proc/${pid}/smaps_rollup`).catch(() => "");
    const kb = /Private_Dirty:\s+(\d+)/.exec(text)?.[1];
    peak = Math.max(peak, Number(kb ?? 0) / 1024);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return peak;
}

async function outcomeOf(running: Running, pid: number): Promise<{ said: string; peak: number }> {
  const ended = running.ended();
  let over = false;
  ended.then(() => over = true, () => over = true);
  const peak = await peakMb(pid, () => over);
  const { code, said } = await ended;
  assert.equal(code, 0, said);
  return { said, peak };
}

for (const way of ["reverse", "forward"] as const) {
  Deno.test(`2 GiB down, up in chunks, up with a length (${way})`, async (t) => {
    const missing = await programs("curl");
    if (missing !== null) return await skip(t, missing);
    await withRig(async (rig) => {
      const key = rig.secret("key");
      await using echo = startEcho(key, rig.authority);
      const direct = authorityOf(echo);
      const shared = {
        credentials: { key: { value: key, servers: [echo] } },
        servers: [echo],
        script: `
          get() { curl -sS --fail-with-body -H "X-Api-Key: $KEY" "$@" || echo "curl: $?"; }
          mkfifo copy; sha256sum <copy >hash & get "$BASE/bytes/${SIZE}" >copy; wait
          cut -c1-64 hash
          get "$BASE/bytes/${SIZE}" | get "$BASE/hash" -T -; echo
          truncate -s ${SIZE} zeros; get "$BASE/hash" -T zeros; echo; rm zeros
        `,
      };
      const ways: Record<typeof way, Agent> = {
        reverse: {
          ...shared,
          services: {
            echo: { upstream: `https://${direct}`, inject_headers: { "X-Api-Key": "key" } },
          },
          environment: { BASE: "http://127.0.0.1:8642/http/echo", KEY: "none" },
        },
        forward: {
          ...shared,
          placeholders: { KEY: "key" },
          environment: { BASE: `https://${direct}` },
        },
      };
      const running = await rig.start(ways[way]);
      const before = performance.now();
      const { said, peak } = await outcomeOf(running, await proxyPid(rig, running.cell));
      const seconds = Math.round((performance.now() - before) / 1000);
      const [down, chunked, whole] = said.trim().split("\n");
      const sent = hashOf(bytes(SIZE));
      assert.equal(down, sent);
      assert.deepEqual(JSON.parse(chunked!), { sha256: sent, length: SIZE });
      const zeros = new Uint8Array(1024 * 1024);
      const count = SIZE / zeros.length;
      assert.deepEqual(JSON.parse(whole!), {
        sha256: hashOf(Array.from({ length: count }, () => zeros)),
        length: SIZE,
      });
      await t.step(
        `4 transfers in ${seconds} s; the proxy's memory: ${peak.toFixed(1)} MB at most`,
        () => assert.ok(peak > 0 && peak < MEMORY_MB, `${peak} MB`),
      );
    });
  });
}

Deno.test("10,000 requests aborted midway", async (t) => {
  await flood(t, 200, 10_000);
});
