// SPDX-License-Identifier: Apache-2.0

/** Workers from the bundle that is shipped, as children of the benchmark, without a sandbox. */
import { ChildLauncher, workerArguments } from "../../src/agent/parent/mod.ts";
import { bundleRole } from "../../tasks/bundle_role.ts";

/** @param dir where the bundle goes; made by the caller, and removed by it */
export async function bundledWorkers(dir: string): Promise<ChildLauncher> {
  const runtime = `${dir}/runtime`;
  await Deno.mkdir(runtime);
  await bundleRole("worker", `${runtime}/worker.js`);
  const config = await Deno.readTextFile(`${import.meta.dirname}/../../deno.json`);
  const { permissions } = JSON.parse(config);
  await Deno.writeTextFile(`${runtime}/deno.json`, JSON.stringify({ permissions }));
  return new ChildLauncher(async (spec) => ({
    program: Deno.execPath(),
    args: await workerArguments(spec, runtime),
    env: { HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
  }));
}
