// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";

Deno.test("self.ts loads no library when a proxy imports it", async () => {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", new URL("self.ts", import.meta.url).pathname],
    stderr: "inherit",
  }).output();
  const graph = JSON.parse(new TextDecoder().decode(output.stdout)) as {
    modules: { specifier: string; dependencies?: { code?: unknown; specifier: string }[] }[];
  };
  const self = graph.modules.find((module) => module.specifier.endsWith("/authorization/self.ts"))!;
  const direct = (self.dependencies ?? []).filter((d) => d.code !== undefined);
  assert.deepEqual(direct.map((d) => d.specifier), ["../glob/glob.ts"]);
  const glob = graph.modules.find((module) => module.specifier.endsWith("/glob/glob.ts"))!;
  assert.deepEqual(glob.dependencies ?? [], []);
});
