// SPDX-License-Identifier: Apache-2.0

/** The hostile agent, and what many connections that are no good do to a proxy. */
import assert from "node:assert/strict";
import { type Agent, proxyPid, type Rig, withRig } from "./rig.ts";
import { type Hostile, startHostile } from "./servers/hostile.ts";
import { authorityOf } from "./servers/tls.ts";
import { waitFor } from "./wait.ts";

export const INSIDE = `${import.meta.dirname}/inside`;
const RUN =
  "DENO_DIR=/tmp/deno exec /opt/bureau/deno run -A --quiet --no-remote --no-check /opt/inside/hostile.ts";

/** As an agent: with three services of the hostile upstream, one for each way a secret is sent. */
export async function agentOf(
  rig: Rig,
  hostile: Hostile,
  key: string,
  words: string,
): Promise<Agent> {
  const inside = `${rig.bed.dir}/state/agents/inside`;
  if (await Deno.stat(inside).catch(() => null) === null) {
    await Deno.mkdir(inside);
    for await (const { name } of Deno.readDir(INSIDE)) {
      await Deno.copyFile(`${INSIDE}/${name}`, `${inside}/${name}`);
    }
  }
  const upstream = `https://${authorityOf(hostile)}`;
  const deny = [{ paths: ["smuggled", "smuggled/**"] }];
  return {
    services: {
      hostile: { upstream, inject_headers: { "X-Api-Key": "key" }, deny },
      basic: { upstream, basic_auth: { username: "someone", password: "key" }, deny },
      query: { upstream, inject_query: { key: "key" }, deny },
    },
    credentials: { key: { value: key, servers: [hostile] } },
    servers: [hostile],
    binds: { [inside]: "/opt/inside" },
    script: `${RUN} /run/bureau/proxy.sock /workspace/received ${words}`,
  };
}

export function reportOf(said: string): Record<string, string> {
  const line = said.trim().split("\n").at(-1) ?? "";
  assert.ok(line.startsWith("{"), said);
  return JSON.parse(line);
}

async function descriptors(pid: number): Promise<number> {
  return (await Array.fromAsync(Deno.readDir(`/proc/${pid}/fd`))).length;
}

/** Slow connections, and requests that are left in their head, in their body, in their answer. */
export async function flood(t: Deno.TestContext, slow: number, aborted: number): Promise<void> {
  await withRig(async (rig) => {
    const key = rig.secret("key");
    await using hostile = startHostile(key, rig.authority);
    await t.step(`${slow} slow connections keep nobody from being served`, async () => {
      const { said } = await rig.run(await agentOf(rig, hostile, key, `slow ${slow}`));
      const report = reportOf(said) as unknown as { ends: Record<string, number> };
      assert.deepEqual(report.ends, { "HTTP/1.1 200 OK": 10 }, said);
    });
    await t.step(
      `${aborted} aborted requests are let go, but for a few that Deno.serve keeps`,
      async () => {
        const running = await rig.start(await agentOf(rig, hostile, key, `abort ${aborted}`));
        const { said } = await running.ended();
        const report = reportOf(said);
        assert.match(String(report["afterwards"]), / 200 /, said);
        assert.equal(Number(report["aborted"]), aborted, said);
        assert.ok(Number(report["begun"]) > aborted * 0.2, said);
        await waitFor("the upstream saw bodies end early", () => hostile.broken() >= 40);
        const pid = await proxyPid(rig, running.cell);
        await assertNoCore(pid);
        await waitFor("the proxy let go of every connection", async () => {
          const count = await descriptors(pid);
          // What one has at rest, and the 32 for which no server is begun (src/proxy/agent_server.ts).
          if (count < 60 + 40) return true;
          throw new Error(`${count} descriptors`);
        }, 120_000);
        await waitFor("the upstream is left alone", () => {
          if (hostile.open() <= 20) return true;
          throw new Error(`${hostile.open()} connections`);
        });
      },
    );
    await rig.assertNoSecrets();
  });
}

/** A crash writes no memory to disk: no core file, whatever the machine's settings are. */
export async function assertNoCore(pid: number): Promise<void> {
  const limits = await Deno.readTextFile(`/proc/${pid}/limits`);
  assert.match(limits, /^Max core file size +0 +0 /m, `process ${pid}: ${limits}`);
}
