// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { parseCredentials } from "./credentials.ts";

const jwt = (claims: unknown) =>
  `e30.${new TextEncoder().encode(JSON.stringify(claims)).toBase64({ alphabet: "base64url" })}.sig`;

/** As Claude Code writes `~/.claude/.credentials.json`. */
const claudeFile = {
  claudeAiOauth: {
    accessToken: "sk-ant-oat01-access",
    refreshToken: "sk-ant-ort01-refresh",
    expiresAt: 1_800_000_000_000,
    scopes: ["user:inference", "user:profile"],
    subscriptionType: "max",
  },
};

const access = jwt({ exp: 1_800_000_000 });
/** As Codex writes `~/.codex/auth.json`. */
const codexFile = {
  OPENAI_API_KEY: null,
  tokens: {
    id_token: jwt({ "https://api.openai.com/auth": { chatgpt_account_id: "acc-of-id" } }),
    access_token: access,
    refresh_token: "rt_refresh",
    account_id: "acc-1",
  },
  last_refresh: "2026-11-20T12:00:00Z",
};

Deno.test("Claude Code's own file becomes a login that is renewed", () => {
  const expected = {
    value: "",
    allowed_hosts: ["api.anthropic.com:443", "platform.claude.com:443"],
    oauth2: {
      token_url: "https://platform.claude.com/v1/oauth/token",
      client_id: "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
      refresh_token: "sk-ant-ort01-refresh",
      access_token: "sk-ant-oat01-access",
      expires_at: 1_800_000_000_000,
      body: "json",
    },
    append_headers: { "anthropic-beta": "oauth-2025-04-20" },
    places: ["header"],
  };
  assert.deepEqual(parseCredentials(claudeFile), { claude: expected });
  const named = { mine: { kind: "claude-subscription", login: claudeFile } };
  assert.deepEqual(parseCredentials(named), { mine: expected });
});

Deno.test("a token of claude setup-token is a value with the header that it needs", () => {
  const mine = { kind: "claude-subscription", token: "sk-ant-oat01-long-lived\n" };
  assert.deepEqual(parseCredentials({ mine }), {
    mine: {
      value: "sk-ant-oat01-long-lived",
      allowed_hosts: ["api.anthropic.com:443"],
      append_headers: { "anthropic-beta": "oauth-2025-04-20" },
      places: ["header"],
    },
  });
});

Deno.test("Codex's own file becomes a login that is renewed, with its account", () => {
  const { codex } = parseCredentials(codexFile);
  assert.deepEqual(codex, {
    value: "",
    allowed_hosts: ["chatgpt.com:443", "auth.openai.com:443"],
    oauth2: {
      token_url: "https://auth.openai.com/oauth/token",
      client_id: "app_EMoamEEZ73f0CkXaXp7hrann",
      refresh_token: "rt_refresh",
      scope: "openid profile email",
      access_token: access,
      expires_at: 1_800_000_000_000,
      body: "json",
    },
    headers: { "chatgpt-account-id": "acc-1" },
    places: ["header"],
  });
  const { account_id: _, ...tokens } = codexFile.tokens;
  const login = { ...codexFile, tokens: { ...tokens, access_token: "opaque" } };
  const mock = {
    kind: "codex-subscription",
    login,
    token_url: "http://127.0.0.1:9/token",
    allowed_hosts: ["127.0.0.1:8"],
  };
  const { mine } = parseCredentials({ mine: mock });
  assert.deepEqual(mine!.headers, { "chatgpt-account-id": "acc-of-id" });
  assert.deepEqual(mine!.allowed_hosts, ["127.0.0.1:8", "127.0.0.1:9"]);
  // Nobody knows when it ends.
  assert.equal(mine!.oauth2!.access_token, undefined);
});

Deno.test("plain values and logins are sealed as they are", () => {
  const oauth2 = { token_url: "https://l.test/t", client_id: "c", refresh_token: "r" };
  const login = { oauth2, allowed_hosts: ["l.test:443"] };
  const key = { value: "k", allowed_hosts: ["a.test:443"], known_hosts: "a.test ssh-ed25519 AAAA" };
  assert.deepEqual(parseCredentials({ key, login }), { key, login: { ...login, value: "" } });
});

Deno.test("what is no credential is refused with a way out, and without its value", () => {
  const secret = "sk-ant-api03-secret";
  const claude = (fields: Record<string, unknown>) => ({
    mine: { kind: "claude-subscription", ...fields },
  });
  const codex = (login: unknown) => ({ mine: { kind: "codex-subscription", login } });
  const cases: [unknown, RegExp, RegExp?][] = [
    [claude({ token: secret }), /none of a subscription/, /claude setup-token/],
    [claude({ login: { claudeAiOauth: { accessToken: secret } } }), /refreshToken/, /setup-token/],
    [claude({}), /neither a token nor a login/],
    [codex({ OPENAI_API_KEY: secret, tokens: null }), /no tokens.refresh_token/, /an API key/],
    [codex({}), /no tokens.refresh_token/, /codex login/],
    [codex({ tokens: { refresh_token: secret } }), /names no account/],
    [{ mine: { kind: "magic" } }, /unknown kind/, /claude-subscription, codex-subscription/],
    [{ mine: { value: secret } }, /wrong at mine.allowed_hosts/],
    [{ mine: { allowed_hosts: [] } }, /wrong at mine.value/],
    [[secret], /wrong at/],
    [secret, /wrong at the top/],
  ];
  for (const [json, message, hint] of cases) {
    assert.throws(() => parseCredentials(json), (thrown: { message: string; hint?: string }) => {
      assert.match(thrown.message, message);
      if (hint !== undefined) assert.match(thrown.hint ?? "", hint);
      assert.ok(!`${thrown.message}${thrown.hint}`.includes(secret));
      return true;
    }, message.source);
  }
});
