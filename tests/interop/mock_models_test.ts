// SPDX-License-Identifier: Apache-2.0

/** The mock is true to its protocols: the official SDKs live with it, without anything between. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { packages } from "./packages.ts";
import { startModels } from "../../src/agent/testing/model/mod.ts";
import { scenarios } from "../../src/agent/testing/model/scenarios.ts";

const keys = { anthropic: "anthropic-key-0123456789", openai: "openai-key-0123456789" };

for (
  const [program, key, path, count] of [
    ["anthropic", keys.anthropic, "", 10],
    ["openai", keys.openai, "/v1", 13],
  ] as const
) {
  Deno.test(`the mock model is what the ${program} SDK expects`, async (t) => {
    const found = await packages("clients");
    if ("reason" in found) return await skip(t, found.reason);
    await using clients = found;
    const models = startModels({ script: scenarios(), keys });
    try {
      const { code, stdout, stderr } = await new Deno.Command("/usr/bin/node", {
        args: [`${clients.dir}/programs/${program}.mjs`],
        clearEnv: true,
        env: { BASE_URL: `http://127.0.0.1:${models.port}${path}`, API_KEY: key },
      }).output();
      const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      assert.equal(code, 0, said);
      const { checked, failure } = JSON.parse(said);
      assert.equal(failure, null);
      assert.equal(checked.length, count, checked.join(", "));
      assert.equal(models.strangers(), 0);
    } finally {
      await models.stop();
    }
  });
}

Deno.test("the mock model refuses a stranger", async () => {
  const models = startModels({ script: scenarios(), keys });
  try {
    for (const path of ["messages", "chat/completions", "responses"]) {
      const answer = await fetch(`http://127.0.0.1:${models.port}/v1/${path}`, {
        method: "POST",
        headers: { authorization: "Bearer wrong-key-of-somebody" },
        body: "{}",
      });
      assert.equal(answer.status, 401);
      assert.match(await answer.text(), /authentication_error/);
    }
    assert.equal(models.strangers(), 3);
    assert.equal(models.asks.length, 0);
  } finally {
    await models.stop();
  }
});
