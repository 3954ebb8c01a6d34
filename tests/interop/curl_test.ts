// SPDX-License-Identifier: Apache-2.0

/** curl inside a sandbox, by the reverse service: methods, bodies, ranges of sizes, refusals. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { programs } from "./packages.ts";
import { withRig } from "./rig.ts";
import { bytes, hashOf, startEcho } from "./servers/echo.ts";
import { authorityOf } from "./servers/tls.ts";

const COUNT = 3_000_001;

Deno.test("curl: a service with a key that the sandbox never sees", async (t) => {
  const missing = await programs("curl");
  if (missing !== null) return await skip(t, missing);
  await withRig(async (rig) => {
    const key = rig.secret("key");
    await using echo = startEcho(key, rig.authority);
    const { code, said } = await rig.run({
      services: {
        echo: { upstream: `https://${authorityOf(echo)}`, inject_headers: { "X-Api-Key": "key" } },
      },
      credentials: { key: { value: key, servers: [echo] } },
      servers: [echo],
      script: `
        service="$BUREAU_TEST_BASE/http/echo"
        get() { curl -sS $BUREAU_TEST_CURL "$@"; echo; }
        echo "== told"; get "$service/seen?a=1%2F2" -H 'X-Api-Key: mine' -d 'some words'
        echo "== bytes"; get "$service/bytes/${COUNT}" | head -c ${COUNT} | sha256sum
        echo "== hash"; head -c ${COUNT} /dev/zero | get "$service/hash" -T -
        echo "== redirect"; get -o /dev/null -w '%{http_code} %{redirect_url}' "$service/redirect?to=/seen"
        echo "== head"; get -I -o /dev/null -w '%{http_code} %header{content-length}' "$service/bytes/77"
        echo "== other"; get -w ' %{http_code}' "$BUREAU_TEST_BASE/http/nobody/"
      `,
      environment: {
        BUREAU_TEST_BASE: "http://bureau",
        BUREAU_TEST_CURL: "--unix-socket /run/bureau/proxy.sock",
      },
    });
    assert.equal(code, 0, said);
    const part = (name: string) => said.split(`== ${name}\n`)[1]?.split("\n")[0] ?? said;
    const told = JSON.parse(part("told"));
    assert.equal(told.method, "POST");
    assert.equal(told.query, "?a=1%2F2");
    assert.equal(told.body, "some words");
    // The server had the key, and told it: stars came back, as many.
    assert.equal(told.headers["x-api-key"], "*".repeat(key.length));
    assert.equal(part("bytes"), `${hashOf(bytes(COUNT))}  -`);
    assert.deepEqual(JSON.parse(part("hash")), {
      sha256: hashOf([new Uint8Array(COUNT)]),
      length: COUNT,
    });
    assert.match(part("redirect"), /^302 /);
    assert.equal(part("head"), "200 77");
    assert.match(part("other"), /"code".* (403|404)$/);
    assert.equal(echo.strangers(), 0);
    assert.equal(echo.known(), 5);
  });
});
