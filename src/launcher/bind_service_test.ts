// SPDX-License-Identifier: Apache-2.0

/** From a template's service and the sealed bundle to what the proxy injects. */
import assert from "node:assert/strict";
import type { CredentialBundle, ProxyService } from "../lib/schema/events.ts";
import { noEgress, type ResolvedSpec } from "../lib/template/mod.ts";
import type { CreateRequest } from "./api.ts";
import { proxyBootstrap, type Validated } from "./validate.ts";

const bundle: CredentialBundle = {
  version: 1,
  principal: "bureau/fleet/dev/agent/a",
  credentials: {
    KEY: { value: "k3y", allowed_hosts: ["api.test:443"] },
    PASSWORD: { value: "pässword", allowed_hosts: ["api.test:443"] },
    LOGIN: {
      value: "",
      allowed_hosts: ["api.test:443", "login.test:443"],
      oauth2: { token_url: "https://login.test/t", client_id: "c", refresh_token: "r" },
      headers: { "chatgpt-account-id": "acc-1" },
      append_headers: { "anthropic-beta": "oauth-2025-04-20" },
    },
    ELSEWHERE: { value: "x", allowed_hosts: ["other.test:443"] },
  },
};

function bind(service: ProxyService) {
  const validated = {
    bundle,
    spec: { proxy_services: { api: service }, egress: noEgress } as unknown as ResolvedSpec,
    placeholders: [] as Validated["placeholders"],
    localpart: "bureau/fleet/dev/agent/a",
    userId: "@bureau/fleet/dev/agent/a:bureau.local",
  } as Validated;
  const request = { assignment: {}, grants: [], denials: [] } as unknown as CreateRequest;
  const names = { serverName: "bureau.local", machine: "@bureau/fleet/dev/machine/m:bureau.local" };
  return proxyBootstrap(validated, request, names).services["api"]!;
}

const upstream = "https://api.test/v1";

Deno.test("a service's credentials become headers, parameters and basic authentication", () => {
  assert.deepEqual(
    bind({
      upstream,
      inject_headers: { "X-Api-Key": "KEY" },
      inject_query: { key: "KEY" },
      inject_body: { "/auth/key": "KEY" },
      basic_auth: { username: "me", password: "PASSWORD" },
      allow: [{ paths: ["v1/**"] }],
    }),
    {
      upstream,
      inject_headers: { "X-Api-Key": "k3y", Authorization: "Basic bWU6cMOkc3N3b3Jk" },
      strip_headers: [],
      inject_query: { key: "k3y" },
      inject_body: { "/auth/key": "k3y" },
      secrets: ["pässword"],
      allow: [{ paths: ["v1/**"] }],
    },
  );
});

Deno.test("no kind of credential goes to a host it was not sealed for", () => {
  for (
    const service of [
      { inject_headers: { a: "ELSEWHERE" } },
      { inject_query: { a: "ELSEWHERE" } },
      { inject_body: { "/a": "ELSEWHERE" } },
      { basic_auth: { username: "me", password: "ELSEWHERE" } },
    ]
  ) assert.throws(() => bind({ upstream, ...service }), /may not go to "api.test:443"/);
  assert.throws(() => bind({ upstream, inject_query: { a: "NONE" } }), /is not sealed for it/);
});

Deno.test("a login is a marker that the proxy fills, and brings its headers along", () => {
  const { inject_headers, append_headers } = bind({
    upstream,
    inject_headers: { Authorization: "LOGIN" },
    auth_scheme: "Bearer",
  });
  assert.deepEqual(inject_headers, {
    Authorization: "Bearer bureau-live-credential:LOGIN:",
    "chatgpt-account-id": "acc-1",
  });
  assert.deepEqual(append_headers, { "anthropic-beta": "oauth-2025-04-20" });
  const basic_auth = { username: "me", password: "LOGIN" };
  assert.throws(() => bind({ upstream, basic_auth }), { code: "bad-credential" });
});
