// SPDX-License-Identifier: Apache-2.0

/** A sandbox that holds placeholders: stock curl uses a credential there, where nothing knows it. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { programs } from "./packages.ts";
import { withRig } from "./rig.ts";
import { startEcho } from "./servers/echo.ts";
import { authorityOf } from "./servers/tls.ts";

Deno.test("curl: a placeholder of the environment works at its host, and nowhere else", async (t) => {
  const missing = await programs("curl");
  if (missing !== null) return await skip(t, missing);
  await withRig(async (rig) => {
    const [key, other] = [rig.secret("key"), rig.secret("other")];
    await using echo = startEcho(key, rig.authority);
    await using elsewhere = startEcho(other, rig.authority);
    const { code, said } = await rig.run({
      credentials: {
        key: { value: key, servers: [echo] },
        other: { value: other, servers: [elsewhere] },
      },
      placeholders: { API_KEY: "key", OTHER_KEY: "other" },
      servers: [echo, elsewhere],
      script: `
        echo "== env"; echo "$API_KEY"
        echo "== here"; curl -sS -H "X-Api-Key: $API_KEY" -d "say $API_KEY" https://${
        authorityOf(echo)
      }/seen; echo
        echo "== there"; curl -sS -H "X-Api-Key: $API_KEY" https://${
        authorityOf(elsewhere)
      }/seen; echo
        echo "== distrust"; curl -sS --capath /nowhere --cacert /dev/null https://${
        authorityOf(echo)
      }/seen; echo "$?"
      `,
    });
    assert.equal(code, 0, said);
    const part = (name: string) => said.split(`== ${name}\n`)[1]?.split("\n== ")[0] ?? said;
    assert.match(part("env"), /^bureau-placeholder-key-[0-9a-f]{32}$/m);
    const told = JSON.parse(part("here"));
    assert.equal(told.headers["x-api-key"], "*".repeat(key.length));
    assert.equal(told.body, `say ${"*".repeat(key.length)}`);
    assert.match(part("there"), /placeholder-wrong-host/);
    assert.notEqual(part("distrust").trim().split("\n").at(-1), "0");
    assert.equal(echo.known(), 1);
    assert.equal(elsewhere.known() + elsewhere.strangers(), 0);
  });
});
