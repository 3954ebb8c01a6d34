// SPDX-License-Identifier: Apache-2.0

/** The same promise with other homeservers, reached by changing one URL: a Synapse from PyPI, and one in a container. */
import assert from "node:assert/strict";
import { commandLine, withBureau } from "../e2e/harness.ts";
import { playAll } from "../homeserver/conformance/play.ts";
import { type TestHomeserver, withHomeserver } from "../homeserver/provider.ts";
import { firstReport } from "./first_report.ts";

async function reportsWith(homeserver: TestHomeserver): Promise<void> {
  await withBureau(async (bureau) => {
    const token = `${bureau.repo}-token`;
    await Deno.writeTextFile(token, homeserver.registrationToken);
    const options = ["--homeserver", homeserver.url, "--registration-token-file", token];
    await firstReport(bureau, options);
  });
}

/** What an engine could leave behind: its processes, mounts, cgroups, directories. */
async function traces(): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    const line = await commandLine(Number(entry.name));
    if (/\b(dockerd|containerd|containerd-shim)\b/.test(line)) found.push(line);
  }
  const mounts = await Deno.readTextFile("/proc/self/mounts");
  found.push(...mounts.split("\n").filter((line) => /b-dk-|docker/.test(line)));
  const named = async (dir: string, pattern: RegExp) => {
    try {
      for await (const { name } of Deno.readDir(dir)) {
        if (pattern.test(name)) found.push(`${dir}/${name}`);
      }
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
  };
  await named("/tmp", /^b-(dk|img)-/);
  await named("/sys/fs/cgroup", /^(docker|bureau-engine-)/);
  for await (const { name, isDirectory } of Deno.readDir("/sys/fs/cgroup")) {
    if (isDirectory) await named(`/sys/fs/cgroup/${name}`, /^(docker|bureau-engine-)/);
  }
  return found.sort();
}

Deno.test("up --homeserver URL works with a real Synapse and its registration token", async (t) => {
  await withHomeserver(t, reportsWith, "synapse");
});

Deno.test("a homeserver in a container: the API holds, an agent reports, nothing is left", async (t) => {
  const before = await traces();
  const ran = await withHomeserver(t, async (homeserver) => {
    await playAll(t, homeserver);
    await t.step("up --homeserver URL", () => reportsWith(homeserver));
  }, "docker");
  if (ran) assert.deepEqual(await traces(), before);
});
