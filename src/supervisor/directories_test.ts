// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { makeDirectories } from "./directories.ts";

Deno.test("makeDirectories() refuses a directory of somebody else and a link", async () => {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const layout = (stateDir: string, runDir: string) => makeDirectories({ stateDir, runDir }, null);
  // An ordinary user can't give a directory away, but finds some that are root's.
  let foreign = "/usr";
  if (Deno.uid() === 0) {
    foreign = `${base}/foreign`;
    await Deno.mkdir(foreign);
    await Deno.chown(foreign, 12_345, 12_345);
  }
  await assert.rejects(layout(foreign, `${base}/r`), { code: "foreign-directory" });
  await assert.rejects(layout(`${base}/s`, foreign), { code: "foreign-directory" });
  await Deno.mkdir(`${base}/real`);
  await Deno.symlink(`${base}/real`, `${base}/link`);
  await assert.rejects(layout(`${base}/s`, `${base}/link`), { code: "not-a-directory" });
  // Control: its own are made, again and again, and nobody else enters them.
  for (let round = 0; round < 2; round++) await layout(`${base}/s`, `${base}/r`);
  assert.equal((await Deno.stat(`${base}/s`)).mode! & 0o777, 0o700);
  await Deno.remove(base, { recursive: true });
});
