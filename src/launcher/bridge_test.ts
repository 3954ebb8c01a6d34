// SPDX-License-Identifier: Apache-2.0

/** A sandbox whose programs know nothing of Unix sockets. */
import assert from "node:assert/strict";
import type { Template } from "../lib/schema/events.ts";
import { lacks } from "../lib/testing/skip.ts";
import { type Bed, withLauncher } from "./testing/harness.ts";

async function start(bed: Bed, name: string, script: string, change: Template = {}) {
  const template = await bed.template(name, script);
  await bed.create(name, await bed.request(name, { template: { ...template, ...change } }));
}

Deno.test("programs reach the proxy by HTTP_PROXY, and what they trust is in one file", async (t) => {
  if (await lacks(t, "/usr/bin/curl", "curl")) return;
  await withLauncher(async (bed) => {
    await start(
      bed,
      "curl",
      `{ curl -sS http://127.0.0.1:8642/v1/identity; echo
         curl -sS http://example.org/; echo
         curl -sS https://example.org/ 2>&1
         echo "$HTTPS_PROXY $NO_PROXY"
         grep -c BEGIN "$SSL_CERT_FILE"
         touch /opt/bureau/x 2>/dev/null || echo 'not writable'
         echo "$1"; } </dev/null >/workspace/out 2>/workspace/err; exit 7`,
      { bridge: true },
    );
    const exit = await bed.wait("curl");
    assert.equal(exit.code, 7, exit.output.join("\n"));
    const [identity, plain, tunnel, proxy, certificates, writable] = (await bed.read("curl", "out"))
      .split("\n");
    assert.match(identity!, /"principal":"bureau\/fleet\/dev\/agent\/curl"/);
    // Nothing is granted: the proxy's own words, by both ways.
    assert.match(plain!, /forward\/example\.org\/80/);
    assert.match(tunnel!, /403/);
    assert.equal(proxy, "http://127.0.0.1:8642 localhost,127.0.0.1,::1");
    assert.ok(Number(certificates) > 0);
    assert.equal(writable, "not writable");

    // Control: without a bridge nothing listens there.
    await start(bed, "none", "curl -sS http://127.0.0.1:8642/ 2>/workspace/err; exit $?");
    assert.equal((await bed.wait("none")).code, 7);
  });
});

Deno.test("a bridge is no child of the agent, and goes with its sandbox", async () => {
  await withLauncher(async (bed) => {
    await start(
      bed,
      "family",
      `wait; read -r list </proc/$$/task/$$/children; echo "children: $list" >/workspace/out
       tr '\\0' ' ' </proc/$$/cmdline >/workspace/me; exit 0`,
      { bridge: true },
    );
    assert.equal((await bed.wait("family")).code, 0);
    assert.equal(await bed.read("family", "out"), "children: \n");
    assert.match(await bed.read("family", "me"), /^\/bin\/sh -c wait;/);
  });
});

Deno.test("a bridge that can't start ends the sandbox, and says why", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("dead", "echo ran >/workspace/out");
    await start(bed, "dead", "echo ran >/workspace/out", {
      bridge: true,
      environment_variables: { ...template.environment_variables, DENO_V8_FLAGS: "--nonsense" },
    });
    const exit = await bed.wait("dead");
    assert.equal(exit.code, 125, exit.output.join("\n"));
    assert.match(exit.output.join(" "), /the bridge to the proxy did not start/);
    // What did not run wrote nothing.
    await assert.rejects(Deno.stat(`${await bed.workspace("dead")}/out`), Deno.errors.NotFound);
  });
});
