// SPDX-License-Identifier: Apache-2.0

/** Logins in a sealed bundle: where their tokens may be fetched, and that what was fetched is kept. */
import assert from "node:assert/strict";
import { sha256Hex } from "../lib/canonical/mod.ts";
import { createLogger } from "../lib/log.ts";
import { generateMachineKey } from "../lib/sealed/mod.ts";
import type { ProxyBootstrap } from "../proxy/api.ts";
import { startGate } from "../proxy/testing/gate.ts";
import { startOauth } from "../proxy/testing/oauth.ts";
import { bindLogins, valueOf } from "./oauth2.ts";
import { RotatedCredentials } from "./rotated.ts";
import { bundleFor, eventually, withLauncher } from "./testing/harness.ts";

const login = { token_url: "https://login.test/token", client_id: "c", refresh_token: "first" };
const credential = { value: "", allowed_hosts: ["login.test:443", "api.test:443"], oauth2: login };

Deno.test("a login is bound where something refers to it, and fetches only from allowed hosts", async () => {
  const bundle = bundleFor("a", { login: credential, unused: credential });
  const services = {
    api: {
      upstream: "https://api.test",
      inject_headers: { a: `Bearer ${valueOf("login", credential)}` },
      strip_headers: [],
    },
  };
  const bound = bindLogins(bundle, { services }, "a");
  const began = await sha256Hex(login.refresh_token);
  assert.deepEqual(bound, [{
    ...login,
    name: "login",
    began,
    marker: valueOf("login", credential),
  }]);
  const elsewhere = bundleFor("a", { login: { ...credential, allowed_hosts: ["api.test:443"] } });
  assert.throws(() => bindLogins(elsewhere, { services }, "a"), { code: "host-not-allowed" });
});

Deno.test("renewed tokens outlive the launcher, sealed, and only for the login they began with", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-r" });
  const said: string[] = [];
  const log = createLogger("test", {}, (line) => void said.push(line));
  const { identity } = await generateMachineKey();
  const owner = { hash: "h", principal: "p" };
  const document = {
    oauth2: ["a", "b"].map((name) => ({
      ...login,
      name,
      began: `sealed-${name}`,
      marker: name,
      expires_at: 1,
    })),
  } as unknown as ProxyBootstrap;
  const line = (name: string, token: string, more: Record<string, unknown> = {}) =>
    JSON.stringify({
      credential: {
        name,
        began: `sealed-${name}`,
        refresh_token: token,
        access_token: token,
        ...more,
      },
    });
  try {
    const first = new RotatedCredentials(`${dir}/rotated`, identity, log);
    assert.deepEqual(await first.into(owner, document), document);
    // At once, as a proxy with two logins tells them.
    await Promise.all([
      first.take(owner, document, line("a", "second-a")),
      first.take(owner, document, line("b", "second-b")),
      first.take(owner, document, line("a", "third-a", { expires_at: 7 })),
    ]);
    for (const wrong of ["", "{}", line("c", "x"), line("a", ""), line("a", "x".repeat(9000))]) {
      await first.take(owner, document, wrong);
    }
    assert.equal(said.length, 5, said.join("\n"));
    const next = new RotatedCredentials(`${dir}/rotated`, identity, log);
    const { oauth2 } = await next.into(owner, document);
    const [a, b] = oauth2!;
    assert.deepEqual([a!.refresh_token, a!.access_token, a!.expires_at], ["third-a", "third-a", 7]);
    // Its end is not the sealed one's.
    assert.deepEqual([b!.refresh_token, b!.expires_at], ["second-b", undefined]);
    assert.deepEqual(await next.into({ ...owner, principal: "q" }, document), document);
    // One of them is sealed anew: the other goes on.
    const [sealedA, sealedB] = document.oauth2!;
    const fresh = { ...sealedA!, began: "sealed-anew", refresh_token: "new-login" };
    const anew = await next.into(owner, { ...document, oauth2: [fresh, sealedB!] });
    assert.deepEqual(anew.oauth2![0], fresh);
    assert.equal(anew.oauth2![1]!.refresh_token, "second-b");
    // What an answer to the old login brings is not taken for the new one's.
    const changed = { ...document, oauth2: [fresh, sealedB!] };
    await next.take(owner, changed, line("a", "fourth-a"));
    assert.deepEqual((await next.into(owner, changed)).oauth2![0], fresh);
    const path = `${dir}/rotated/h.age`;
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.ok(!atob(await Deno.readTextFile(path)).includes("third-a"));
    assert.ok(!said.join("").includes("second-"));
    // Damaged: the sealed ones are tried, and the log says so.
    await Deno.writeTextFile(path, "damaged");
    assert.deepEqual(await next.into(owner, document), document);
    assert.match(said.at(-1)!, /unreadable/);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a proxy that is made again goes on with the tokens that the last one was given", async () => {
  const oauth = startOauth();
  // The token that is fetched ends at once for the one that fetched it: each new one is seen.
  oauth.expiresIn = 1;
  try {
    await withLauncher(async (bed) => {
      const host = `127.0.0.1:${oauth.port}`;
      const bundle = bundleFor("renews", {
        login: {
          value: "",
          allowed_hosts: [host],
          oauth2: {
            token_url: `http://${host}/oauth/token`,
            client_id: "c",
            refresh_token: "refresh-token-0",
          },
        },
      });
      const template = await bed.template("renews", "exec sleep 1000", {
        proxy_services: {
          api: {
            upstream: `http://${host}`,
            inject_headers: { authorization: "login" },
            auth_scheme: "Bearer",
          },
        },
      });
      const request = await bed.request("renews", { template, bundle });
      await bed.create("renews", { ...request, grants: [{ actions: ["http/**"] }] });
      const cell = await bed.cell("renews");
      const gate = await startGate({
        path: `${cell}/egress/egress.sock`,
        route: (target) => target === host ? oauth.port : null,
      });
      const client = Deno.createHttpClient({
        proxy: { transport: "unix", path: `${cell}/agent/proxy.sock` },
        poolMaxIdlePerHost: 0,
      });
      const ask = () =>
        eventually("the proxy answers", async () => {
          try {
            const response = await fetch("http://p/http/api/", { client });
            const text = await response.text();
            assert.equal(response.status, 200, text);
            return text;
          } catch (thrown) {
            if (thrown instanceof assert.AssertionError) throw thrown;
            return null;
          }
        });
      const kept = `${bed.dir}/state/launcher/rotated/${await bed.hash("renews")}.age`;
      const written = async () => (await Deno.stat(kept).catch(() => null))?.ino ?? null;
      try {
        await ask();
        const first = await eventually("the launcher keeps it", written);
        const proxy = (await bed.processes()).find(({ command }) => /proxy\.js/.test(command));
        Deno.kill(proxy!.pid, "SIGKILL");
        await eventually("made again", async () => {
          const { restarts, ready } = (await bed.show("renews")).proxy;
          return restarts === 1 && ready;
        });
        // A refresh token works once: the sealed one would be refused.
        oauth.revoke();
        await ask();
        await eventually("kept again", async () => await written() !== first);
        await bed.end("SIGKILL");
        await bed.start();
        oauth.revoke();
        await ask();
        assert.ok(oauth.asked.length >= 3);
        assert.equal(
          new Set(oauth.asked.map((one) => one["refresh_token"])).size,
          oauth.asked.length,
        );
      } finally {
        client.close();
        await gate.stop();
      }
    });
  } finally {
    await oauth.stop();
  }
});
