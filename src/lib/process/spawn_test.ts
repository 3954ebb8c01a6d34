// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "./mod.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);
const env = { PATH: "/usr/bin:/bin" };

Deno.test("spawn() gives a program its data on descriptors, its input, and nothing of ours", async () => {
  Deno.env.set("BUREAU_SPAWN_TEST", "leaks");
  const long = bytes("x".repeat(300_000));
  const script =
    "cat <&3; echo; cat <&4 | wc -c; cat; echo no >&2; env | grep -c SPAWN_TEST; exit 3";
  const { output } = spawn(["/bin/sh", "-c", script], {
    env,
    data: [bytes("three"), long],
    stdin: bytes("in\n"),
    keep: true,
  });
  const { success, stdout, stderr } = await output;
  Deno.env.delete("BUREAU_SPAWN_TEST");
  assert.equal(success, false);
  assert.equal(text(stdout), "three\n300000\nin\n0\n");
  assert.equal(text(stderr), "no\n");
});

Deno.test("spawn() outlives a program that reads none of its data, one that is killed, and one that is not there", async () => {
  const long = new Uint8Array(1_000_000);
  assert.equal(
    (await spawn(["/bin/true"], { env, data: [long], stdin: long }).output).success,
    true,
  );
  const sleeping = spawn(["/bin/sleep", "1000"], { env, keep: true });
  sleeping.kill();
  assert.equal((await sleeping.output).success, false);
  sleeping.kill();
  await assert.rejects(spawn(["/none/there"], { env }).output, /ENOENT|No such file/);
});
