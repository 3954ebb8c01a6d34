// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { presentable, secretsOf } from "./output.ts";
import { bundleFor, eventually, localpart, withLauncher } from "./testing/harness.ts";

const SECRET = "sk-live-1234567890";
const credential = (value: string) => ({ value, allowed_hosts: ["localhost:1"] });

Deno.test("sealed values are stars, whichever holds the other, and only the end is kept", () => {
  const secrets = secretsOf(bundleFor("x", {
    A: credential(SECRET),
    B: credential(`${SECRET}-longer`),
    KEY: credential("-----BEGIN-----\nsecret-line-1\nsecret-line-2\n"),
    SHORT: credential("a b"),
  }));
  assert.deepEqual(
    presentable([`x ${SECRET} y`, `${SECRET}-longer`, "a b", "  secret-line-2"], secrets),
    ["x ******** y", "********", "a b", "  ********"],
  );
  // Control.
  assert.deepEqual(presentable([SECRET], []), [SECRET]);
  const many = presentable(Array.from({ length: 700 }, (_, n) => `${n} ${"x".repeat(5_000)}`), []);
  assert.ok(many.join("\n").length <= 262_144 && many.at(-1)!.startsWith("699 "));
});

function output(bed: Parameters<Parameters<typeof withLauncher>[0]>[0], name: string, lines = 500) {
  return bed.launcher.client.call("output", {
    params: { principal: localpart(name) },
    query: { lines: String(lines) },
  });
}

Deno.test("the last 500 lines and the status are kept over the end, the launcher's death and removal", async () => {
  await withLauncher(async (bed) => {
    // The agent knows its own secret here, which no template of ours lets it.
    const template = await bed.template(
      "talker",
      `i=0; while [ $i -lt 800 ]; do i=$((i+1)); echo line $i; done; echo "key ${SECRET}"
       printf 'esc\\033[31mred\\n'; touch /workspace/ready; until [ -e /workspace/end ]; do sleep 0.02; done; exit 7`,
    );
    const bundle = bundleFor("talker", { KEY: credential(SECRET) });
    const request = await bed.request("talker", { template, bundle });
    await bed.create("talker", request);
    await bed.read("talker", "ready");
    // The terminal's server reads what was written a moment later.
    const live = await eventually("all of it stands there", async () => {
      const seen = await output(bed, "talker", 3);
      return seen.now?.at(-1) === "escred" ? seen : null;
    });
    assert.deepEqual(live.now, ["line 800", "key ********", "escred"]);
    assert.equal(live.last, null);
    await Deno.writeTextFile(`${bed.dir}/state/workspaces/talker/end`, "");
    assert.equal((await bed.wait("talker")).code, 7);
    const check = async () => {
      const { now, last } = await output(bed, "talker");
      assert.equal(now, null);
      assert.deepEqual([last!.code, last!.output.length], [7, 500]);
      assert.deepEqual(last!.output.slice(-3), ["line 800", "key ********", "escred"]);
    };
    await check();
    await bed.end("SIGKILL");
    await bed.start();
    await check();
    await bed.destroy("talker");
    await check();
    for await (const file of Deno.readDir(`${bed.dir}/state/launcher/ended`)) {
      assert.equal(file.name, `${await bed.hash("talker")}.json`);
      const text = await Deno.readTextFile(`${bed.dir}/state/launcher/ended/${file.name}`);
      assert.ok(!text.includes(SECRET));
    }
    // It runs again, and what it wrote the last time is still to be had.
    await Deno.remove(`${bed.dir}/state/workspaces/talker/end`);
    await bed.create("talker", request);
    await eventually("it talks", async () => ((await output(bed, "talker")).now?.length ?? 0) > 0);
    assert.equal((await output(bed, "talker")).last!.code, 7);
    await bed.destroy("talker");
    const gone = await bed.request("talker", { template, assignment: { desired: "absent" } });
    await bed.retire("talker", gone.assignment);
    assert.equal((await output(bed, "talker")).last, null);
    await assert.rejects(output(bed, "talker", 501), { code: "bad-request" });
  });
});
