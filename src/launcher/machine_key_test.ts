// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { generateMachineKey } from "../lib/sealed/mod.ts";
import { loadMachineKey } from "./machine_key.ts";

async function inDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a machine's key is made once, and its public half follows from it", async () => {
  await inDir(async (dir) => {
    const first = await loadMachineKey(dir);
    assert.equal((await Deno.stat(`${dir}/machine-key.txt`)).mode! & 0o777, 0o600);
    await Deno.remove(`${dir}/machine-key.pub`);
    const again = await loadMachineKey(dir);
    assert.equal(again.publicKey, first.publicKey);
    assert.equal(again.identity.reveal(), first.identity.reveal());
    assert.equal((await Deno.readTextFile(`${dir}/machine-key.pub`)).trim(), first.publicKey);
  });
});

Deno.test("a key that is lost or damaged is never replaced by another", async () => {
  await inDir(async (dir) => {
    await loadMachineKey(dir);
    await Deno.writeTextFile(`${dir}/machine-key.txt`, "AGE-SECRET-KEY-1SHORT\n");
    await assert.rejects(loadMachineKey(dir), { code: "bad-machine-key" });
    await Deno.remove(`${dir}/machine-key.txt`);
    await assert.rejects(loadMachineKey(dir), { code: "machine-key-lost" });
  });
});

Deno.test("a key that systemd gives is used, and must be the one that was published", async () => {
  await inDir(async (dir) => {
    const given = `${dir}/given`;
    await assert.rejects(loadMachineKey(dir, given), { code: "machine-key-lost" });
    assert.deepEqual([...Deno.readDirSync(dir)], [], "none is made instead");
    const key = await generateMachineKey();
    await Deno.writeTextFile(given, `# from systemd\n${key.identity}\n`);
    const loaded = await loadMachineKey(dir, given);
    assert.equal(loaded.publicKey, key.recipient);
    assert.equal(loaded.identity.reveal(), key.identity);
    // A published key and nothing to open it with but what systemd gives: in order.
    assert.equal((await loadMachineKey(dir, given)).publicKey, key.recipient);
    await Deno.writeTextFile(given, `${(await generateMachineKey()).identity}\n`);
    await assert.rejects(loadMachineKey(dir, given), { code: "machine-key-differs" });
  });
});
