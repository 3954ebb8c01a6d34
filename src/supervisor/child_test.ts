// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import { Child } from "./child.ts";

const MEBIBYTE = 1024 * 1024;

function child(script: string, logFile: string): Child {
  return new Child(
    {
      name: "test",
      command: ["/bin/sh", "-c", script],
      env: { PATH: "/usr/bin:/bin" },
      cwd: "/",
      bootstrap: () => Promise.resolve({}),
      logFile,
    },
    systemClock,
    createLogger("test", {}, () => {}),
  );
}

async function eventually(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!await look()) {
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("Child keeps a bounded log when its process floods it", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const flood = child(
    `echo '{"ready":true}'; head -c ${
      80 * MEBIBYTE
    } /dev/zero >&2; touch ${dir}/said; exec sleep 100`,
    `${dir}/log`,
  );
  await flood.start();
  await eventually(
    "everything was said",
    () => Deno.stat(`${dir}/said`).then(() => true, () => false),
  );
  await flood.stop();
  const sizes = [];
  for await (const { name } of Deno.readDir(dir)) {
    if (name !== "said") sizes.push((await Deno.stat(`${dir}/${name}`)).size);
  }
  assert.equal(sizes.length, 2);
  // Control: something was kept; and no more than two files of 32 MiB and the chunk that went over.
  for (const size of sizes) assert.ok(size > 0 && size < 33 * MEBIBYTE, String(size));
  await Deno.remove(dir, { recursive: true });
});

Deno.test("Child goes on when its log can't be written", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const mute = child(
    `echo '{"ready":true}'; head -c ${MEBIBYTE} /dev/zero >&2 && touch ${dir}/lives; exec sleep 100`,
    "/dev/full",
  );
  await mute.start();
  await eventually("it goes on", () => Deno.stat(`${dir}/lives`).then(() => true, () => false));
  assert.equal(mute.status.state, "running");
  await mute.stop();
  await Deno.remove(dir, { recursive: true });
});
