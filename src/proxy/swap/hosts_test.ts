// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { parseAuthority } from "../../lib/authority.ts";
import { HostTable } from "./hosts.ts";

const PLACEHOLDER = "bureau-placeholder-x-0123456789abcdef0123456789abcdef";
const bound = (...hosts: string[]) => [{ placeholder: PLACEHOLDER, value: "secret-value", hosts }];
const at = (text: string) => parseAuthority(text)!;

Deno.test("HostTable reads hosts with credentials or rules, in every spelling, and no others", () => {
  const hosts = new HostTable(bound("api.test:443", "[2001:db8::1]:443"), {
    allow: [{ host: "*.ruled.test:443", paths: ["a"] }, { host: "[::ffff:10.0.0.1]:443" }],
    deny: [{ host: "denied.test:443", methods: ["DELETE"] }],
  });
  for (
    const [target, read] of [
      ["api.test:443", true],
      ["API.test.:443", true],
      ["api.test:8443", false],
      ["sub.api.test:443", false],
      ["[2001:db8:0:0::1]:443", true],
      ["[2001:0db8::0001]:443", true],
      ["x.ruled.test:443", true],
      ["ruled.test:443", false],
      ["10.0.0.1:443", true],
      ["[::ffff:a00:1]:443", true],
      ["denied.test:443", true],
      ["else.test:443", false],
    ] as const
  ) assert.equal(hosts.isRead(at(target)), read, target);
});

Deno.test("HostTable gives secrets over TLS, and in the clear to this machine alone", () => {
  const hosts = new HostTable(bound("api.test:80", "127.0.0.1:80", "api.test:443"), undefined);
  const swaps = (target: string, tls: boolean) =>
    hosts.policyFor(at(target), tls).placeholders.swaps;
  assert.equal(swaps("api.test:443", true), true);
  assert.equal(swaps("api.test:80", false), false);
  assert.equal(swaps("127.0.0.1:80", false), true);
  assert.equal(swaps("other.test:443", true), false);
  assert.throws(
    () => hosts.policyFor(at("api.test:80"), false).placeholders.inHeader(PLACEHOLDER),
    /may not go to/,
  );
});

Deno.test("HostTable takes new rules at once; a denial that it can't read denies everything", () => {
  const hosts = new HostTable([], { allow: [{ host: "a.test:1", paths: ["x"] }], deny: [] });
  const passes = (path: string) => {
    try {
      hosts.policyFor(at("a.test:1"), true).rules?.require("GET", path);
      return true;
    } catch {
      return false;
    }
  };
  assert.deepEqual([passes("/x"), passes("/y")], [true, false]);
  let changes = 0;
  hosts.onChange = () => changes++;
  hosts.setRules({ allow: [{ host: "a.test:1", methods: ["GET"] }], deny: [] });
  assert.deepEqual([passes("/x"), passes("/y"), passes("/")], [true, true, true]);
  hosts.setRules({ allow: [], deny: [{ host: "*.test:1", methods: ["POST"] }] });
  assert.deepEqual([passes("/x"), hosts.isRead(at("any.thing:9"))], [false, true]);
  hosts.setRules({ allow: [], deny: [] });
  assert.equal(hosts.isRead(at("a.test:1")), false);
  assert.equal(changes, 3);
});

Deno.test("a rule without paths lets none of the agent's own requests pass", () => {
  const hosts = new HostTable([], { allow: [{ host: "login.test:443", paths: [] }], deny: [] });
  const { rules } = hosts.policyFor({ host: "login.test", port: 443 }, true);
  for (const path of ["/", "/oauth/token"]) {
    assert.throws(() => rules!.require("POST", path), { code: "request-refused" });
  }
});
