// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Invocation } from "../framework/command.ts";
import { locked, unlocked } from "./escrow.ts";
import { expiryOf } from "./input.ts";
import { kindOf } from "./kind.ts";
import { credentialTable, listed } from "./list.ts";
import { newValue } from "./rotate.ts";

const DAY = 86_400_000;

Deno.test("kindOf() tells a credential's kind from its content", () => {
  const login = { token_url: "https://x/t", client_id: "mine", refresh_token: "r" };
  const kind = (value: string, client_id?: string) =>
    kindOf({
      value,
      allowed_hosts: [],
      ...(client_id === undefined ? {} : { oauth2: { ...login, client_id } }),
    });
  assert.equal(kind("ghp_x"), "static");
  assert.equal(kind("-----BEGIN OPENSSH PRIVATE KEY-----\nx"), "ssh-key");
  assert.equal(kind("sk-ant-oat01-x"), "claude-subscription");
  assert.equal(kind("", "mine"), "oauth2");
  assert.equal(kind("", "app_EMoamEEZ73f0CkXaXp7hrann"), "codex-subscription");
});

Deno.test("newValue() makes of a rotation's input what its kind wants", () => {
  assert.deepEqual(newValue("static", "ghp_2\n"), { value: "ghp_2", allowed_hosts: [] });
  assert.deepEqual(newValue("static", " a b \r\n"), { value: " a b ", allowed_hosts: [] });
  assert.equal(newValue("ssh-key", "\n-----BEGIN…\nx\n\n").value, "-----BEGIN…\nx\n");
  assert.deepEqual(newValue("oauth2", "r2\n").oauth2?.refresh_token, "r2");
  const fields = newValue("oauth2", '{"refresh_token":"r2","client_secret":"s2"}').oauth2;
  assert.equal(fields?.client_secret, "s2");
  assert.equal(newValue("claude-subscription", "sk-ant-oat01-new\n").value, "sk-ant-oat01-new");
  const file = { claudeAiOauth: { refreshToken: "sk-ant-ort01-2" } };
  const renewed = newValue("claude-subscription", JSON.stringify(file));
  assert.equal(renewed.oauth2?.refresh_token, "sk-ant-ort01-2");
  assert.deepEqual(renewed.allowed_hosts, []);
  for (
    const [kind, text] of [["static", " \n"], ["oauth2", "{"], [
      "claude-subscription",
      "x",
    ]] as const
  ) {
    assert.throws(() => newValue(kind, text), { code: "usage" });
  }
});

Deno.test("an escrow key under a passphrase is opened by that one alone", async () => {
  const text = await locked("AGE-SECRET-KEY-1X\n", "correct horse");
  assert.match(text, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  assert.equal(await unlocked(text, "correct horse"), "AGE-SECRET-KEY-1X\n");
  await assert.rejects(unlocked(text, "wrong horse"), { code: "wrong-passphrase" });
});

Deno.test("expiryOf() takes spans and times to come", () => {
  const of = (text?: string) =>
    expiryOf({ flags: { expires: text } } as unknown as Invocation, Date.UTC(2026, 0, 1));
  assert.equal(of(), undefined);
  assert.equal(of("30d"), Date.UTC(2026, 0, 31));
  assert.equal(of("2027-01-01"), Date.UTC(2027, 0, 1));
  for (const text of ["", "soon", "2025-12-31", "0d", "-1d"]) {
    assert.throws(() => of(text), { code: "usage" }, text);
  }
});

Deno.test("credential list shows everything but values, and warns of an end", () => {
  const now = Date.UTC(2026, 0, 10);
  const part = (name: string, expires_at?: number) => ({
    version: 1 as const,
    principal: "@bureau/fleet/dev/agent/a:s",
    name,
    kind: "static" as const,
    allowed_hosts: ["x:443"],
    encrypted_for: ["@bureau/fleet/dev/machine/m:s", "escrow:ops"],
    ciphertext: "CIPHER",
    issued_by: "@op:s",
    issued_at: now - 3 * DAY,
    ...(expires_at === undefined ? {} : { expires_at }),
    signature: { key_id: "k", value: "v" },
  });
  const lines = credentialTable(
    listed({
      version: 1,
      principal: "@bureau/fleet/dev/agent/a:s",
      encrypted_for: [],
      keys: ["ended", "fine", "old", "soon"],
      ciphertext: "CIPHER",
      parts: {
        ended: part("ended", now - 1),
        fine: part("fine"),
        soon: part("soon", now + 2 * DAY),
      },
      provisioned_by: "@op:s",
      provisioned_at: new Date(now).toISOString(),
    }),
    now,
  );
  assert.match(
    lines[1]!,
    /^agent\/a +ended +static +x:443 +3 d ago +@op:s +\S+ escrow:ops +EXPIRED /,
  );
  assert.match(lines[2]!, /fine .* never$/);
  assert.match(lines[3]!, /old +bundle +\? /);
  assert.match(lines[4]!, /SOON, in 2 d$/);
  assert.doesNotMatch(lines.join("\n"), /CIPHER/);
});
