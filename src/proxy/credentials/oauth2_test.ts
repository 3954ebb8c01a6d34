// SPDX-License-Identifier: Apache-2.0

/** Tokens that are renewed while the proxy runs, for services and in the place of placeholders. */
import assert from "node:assert/strict";
import type { BoundOauth2, ProxyBootstrap } from "../api.ts";
import { withProxy } from "../testing/harness.ts";
import { startOauth, type TestOauth } from "../testing/oauth.ts";
import { rawRequest } from "../testing/raw.ts";
import type { RotatedCredential } from "./source.ts";

const MARKER = "bureau-live-credential:login:";
const PLACEHOLDER = "bureau-placeholder-login-0123456789";

function bootstrap(oauth: TestOauth, login: Partial<BoundOauth2> = {}): Partial<ProxyBootstrap> {
  return {
    services: {
      api: {
        upstream: `http://127.0.0.1:${oauth.port}`,
        inject_headers: { Authorization: `Bearer ${MARKER}` },
        append_headers: { "anthropic-beta": "oauth-2025-04-20" },
        strip_headers: [],
      },
    },
    placeholders: [{
      placeholder: PLACEHOLDER,
      value: MARKER,
      hosts: [`127.0.0.1:${oauth.port}`],
    }],
    oauth2: [{
      name: "login",
      began: "digest-of-refresh-token-0",
      marker: MARKER,
      token_url: `http://127.0.0.1:${oauth.port}/oauth/token`,
      client_id: "client",
      client_secret: "client-secret-value",
      refresh_token: "refresh-token-0",
      ...login,
    }],
  };
}

const backwards = (text: string) => [...text].reverse().join("");

const clockAt = (time: { now: number }) => ({
  now: () => time.now,
  sleep: () => Promise.resolve(),
});

async function withOauth(
  body: (oauth: TestOauth, rotated: RotatedCredential[]) => Promise<void>,
): Promise<void> {
  const oauth = startOauth();
  try {
    await body(oauth, []);
  } finally {
    await oauth.stop();
  }
}

Deno.test("a service's token is fetched once for all who wait, and the launcher is told before it is used", async () => {
  await withOauth(async (oauth, rotated) => {
    const onRotated = (credential: RotatedCredential) => {
      // The API has not seen the new one yet.
      assert.equal(oauth.asked.length, rotated.length + 1);
      rotated.push(credential);
    };
    await withProxy(bootstrap(oauth), async ({ get }) => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async () => {
          const headers = { authorization: "Bearer mine", "anthropic-beta": "tools-1" };
          const response = await get("/http/api/", { headers });
          return { status: response.status, text: await response.text() };
        }),
      );
      for (const { status, text } of answers) {
        assert.equal(status, 200, text);
        assert.equal(backwards(JSON.parse(text).reached), "Bearer access-token-1");
        assert.equal(JSON.parse(text).beta, "tools-1, oauth-2025-04-20");
        assert.ok(!text.includes("access-token-1"), text);
      }
    }, { onRotated });
    assert.deepEqual(oauth.asked, [{
      grant_type: "refresh_token",
      refresh_token: "refresh-token-0",
      client_id: "client",
      client_secret: "client-secret-value",
    }]);
    assert.equal(rotated.length, 1);
    const { expires_at, ...kept } = rotated[0]!;
    assert.deepEqual(kept, {
      name: "login",
      began: "digest-of-refresh-token-0",
      refresh_token: "refresh-token-1",
      access_token: "access-token-1",
    });
    assert.ok(Math.abs(expires_at! - Date.now() - 3_600_000) < 60_000);
  });
});

Deno.test("a token is renewed shortly before its end, and once when it is refused before", async () => {
  await withOauth(async (oauth) => {
    const time = { now: Date.now() };
    const login = {
      access_token: "access-token-0",
      expires_at: time.now + 3_600_000,
      body: "json" as const,
    };
    await withProxy(bootstrap(oauth, login), async ({ get }) => {
      const ask = async (init?: RequestInit) => {
        const response = await get("/http/api/", init);
        const text = await response.text();
        assert.equal(response.status, 200, text);
        return backwards(JSON.parse(text).reached);
      };
      assert.equal(await ask(), "Bearer access-token-0");
      assert.equal(oauth.asked.length, 0);
      time.now += 3_600_000 - 299_000;
      assert.equal(await ask(), "Bearer access-token-1");
      assert.equal(oauth.asked.length, 1);
      // Refused before its end: this request is sent once more.
      oauth.revoke();
      assert.equal(await ask(), "Bearer access-token-2");
      // What has a body that is gone is told, and the next one is right.
      time.now += 60_000;
      oauth.revoke();
      const streamed = await get("/http/api/", { method: "POST", body: "text" });
      assert.equal(streamed.status, 401);
      await streamed.body?.cancel();
      assert.equal(await ask({ method: "POST", body: "text" }), "Bearer access-token-3");
      // An upstream that refuses every token doesn't make a token request each time.
      oauth.revoke();
      const before = oauth.asked.length;
      for (let count = 0; count < 5; count++) {
        const refused = await get("/http/api/");
        assert.equal(refused.status, 401);
        await refused.body?.cancel();
      }
      assert.equal(oauth.asked.length, before);
    }, { clock: clockAt(time) });
  });
});

Deno.test("a refresh that fails is told without what was sent, is not stormed, and ends when it works again", async () => {
  await withOauth(async (oauth) => {
    const time = { now: Date.now() };
    await withProxy(bootstrap(oauth), async ({ get }) => {
      oauth.fail = () => new Response("refresh-token-0", { status: 503 });
      for (let count = 0; count < 5; count++) {
        const response = await get("/http/api/");
        const text = await response.text();
        assert.equal(response.status, 502);
        assert.match(text, /credential-refresh-failed.*"login\\".*answered 503/);
        assert.ok(!text.includes("refresh-token-0"), text);
      }
      assert.equal(oauth.asked.length, 1);
      oauth.fail = () => Response.json({ error: "invalid_grant" }, { status: 400 });
      time.now += 120_000;
      assert.match(await (await get("/http/api/")).text(), /credential-revoked.*log in again/);
      oauth.fail = () => Response.json({ access_token: "two\nlines" });
      time.now += 120_000;
      assert.match(await (await get("/http/api/")).text(), /is no token/);
      oauth.fail = null;
      time.now += 120_000;
      const response = await get("/http/api/");
      assert.equal(response.status, 200);
      await response.body?.cancel();
    }, { clock: clockAt(time) });
  });
});

Deno.test("a placeholder stands for the present token, also after it was renewed", async () => {
  await withOauth(async (oauth) => {
    const time = { now: Date.now() };
    await withProxy(bootstrap(oauth), async ({ sockets }) => {
      const ask = async () =>
        await rawRequest(
          sockets.forward,
          `GET http://127.0.0.1:${oauth.port}/ HTTP/1.1\r\nHost: 127.0.0.1:${oauth.port}\r\n` +
            `Authorization: Bearer ${PLACEHOLDER}\r\nConnection: close`,
        );
      const first = await ask();
      assert.match(first.text, new RegExp(backwards("Bearer access-token-1")));
      assert.ok(!first.text.includes("access-token-1"), first.text);
      time.now += 3_600_000;
      assert.match((await ask()).text, new RegExp(backwards("Bearer access-token-2")));
      oauth.revoke();
      time.now += 60_000;
      assert.match((await ask()).text, /\*\*\*/);
      const renewed = await ask();
      assert.match(renewed.text, new RegExp(backwards("Bearer access-token-3")));
    }, { clock: clockAt(time) });
  });
});
