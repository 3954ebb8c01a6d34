// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { createLogger } from "../lib/log.ts";
import { stateFile } from "./state_file.ts";

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-sf" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function counter(path: string) {
  const said: string[] = [];
  const file = stateFile({
    path,
    schema: z.object({ n: z.number() }),
    empty: () => ({ n: 0 }),
    what: "numbers",
    unwritten: "they begin anew",
    log: createLogger("test", {}, (line) => said.push(line)),
  });
  return { file, said };
}

Deno.test("stateFile() has on disk what was saved last, when each of the saves is done", async () => {
  await inDirectory(async (dir) => {
    const { file, said } = counter(`${dir}/n.json`);
    assert.deepEqual(await file.load(), { n: 0 });
    const state = { n: 1 };
    const first = file.save(state);
    // What was given is what counts, not what becomes of it.
    state.n = 99;
    await first;
    assert.deepEqual(await file.load(), { n: 1 });
    await Promise.all(Array.from({ length: 100 }, (_, at) => file.save({ n: at + 2 })));
    assert.deepEqual(await file.load(), { n: 101 });
    assert.equal((await Deno.stat(`${dir}/n.json`)).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["n.json"]);
    assert.deepEqual(said, []);
  });
});

Deno.test("stateFile() says what it can't read or write, and goes on", async () => {
  await inDirectory(async (dir) => {
    const { file, said } = counter(`${dir}/n.json`);
    for (const damaged of ["", "{", '{"n":"one"}', "null"]) {
      await Deno.writeTextFile(`${dir}/n.json`, damaged);
      assert.deepEqual(await file.load(), { n: 0 });
    }
    assert.equal(said.length, 4);
    assert.match(said[0]!, /numbers: not readable, and forgotten/);
    // A directory in its place can't be replaced by a file, whoever tries.
    await Deno.remove(`${dir}/n.json`);
    await Deno.mkdir(`${dir}/n.json/x`, { recursive: true });
    await file.save({ n: 1 });
    assert.match(said[4]!, /numbers: not written, they begin anew/);
    await Deno.remove(`${dir}/n.json`, { recursive: true });
    await file.save({ n: 2 });
    assert.deepEqual(await file.load(), { n: 2 });
  });
});
