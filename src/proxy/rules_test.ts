// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { QueryPolicy } from "./query.ts";
import { RequestRules } from "./rules.ts";

function verdict(rules: RequestRules, method: string, path: string): boolean {
  try {
    rules.require(method, path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("RequestRules lets pass what is allowed and not denied", () => {
  const rules = new RequestRules("git", [
    { methods: ["GET"], paths: ["repos/me/**", "user"] },
    { methods: ["POST"], paths: ["repos/me/*/issues"] },
  ], [{ paths: ["repos/me/secret/**"] }, { methods: ["GET"], paths: ["repos/me/*/keys"] }]);
  for (
    const [method, path, passes] of [
      ["GET", "/user", true],
      ["HEAD", "/user", true],
      ["POST", "/user", false],
      ["GET", "/users", false],
      ["GET", "/repos/me", true],
      ["GET", "/repos/me/a/contents/b", true],
      ["POST", "/repos/me/a/issues", true],
      ["POST", "/repos/me/a/b/issues", false],
      ["GET", "/repos/me/secret", false],
      ["GET", "/repos/me/secret/", false],
      ["GET", "/repos/me/secret/x", false],
      ["GET", "/repos/me/secret%2Fx", false],
      ["GET", "/repos/me%2Fsecret/x", false],
      ["GET", "/repos/me/secret;v=1", false],
      ["GET", "/repos/me/secret;/x", false],
      ["GET", "/repos/me/secret%3Bv=1", false],
      ["GET", "/repos/me/a/..;/secret/x", false],
      ["GET", "/repos/me/a%5C..%5Csecret", false],
      ["GET", "/repos/me/other;v=1", true],
      ["GET", "/repos/me/a/keys", false],
      ["GET", "/repos/me/a/keys/", false],
      ["GET", "/repos/me/a/keys/1", true],
      ["GET", "/", false],
    ] as const
  ) assert.equal(verdict(rules, method, path), passes, `${method} ${path}`);
});

Deno.test("RequestRules fails closed on a pattern that says nothing", () => {
  assert.equal(verdict(new RequestRules("s", [{ paths: ["/v1"] }], []), "GET", "/v1"), false);
  assert.equal(
    verdict(new RequestRules("s", undefined, [{ paths: ["a**"] }]), "GET", "/v1"),
    false,
  );
  assert.equal(verdict(new RequestRules("s", [], undefined), "GET", "/v1"), false);
  assert.equal(verdict(new RequestRules("s", undefined, undefined), "GET", "/v1"), true);
});

Deno.test("QueryPolicy sends the injected parameter once, whatever the caller writes", () => {
  const policy = new QueryPolicy({ api_key: "s/ecret" });
  for (
    const [query, expected] of [
      ["", "?api_key=s%2Fecret"],
      ["?a=1&b=%20", "?a=1&b=%20&api_key=s%2Fecret"],
      ["?api_key=mine", "?api_key=s%2Fecret"],
      ["?a=1&API_KEY=mine&b", "?a=1&b&api_key=s%2Fecret"],
      ["?%61pi%5fkey=mine&a=1", "?a=1&api_key=s%2Fecret"],
      ["?api_key[]=mine&api_key[x]=mine", "?api_key=s%2Fecret"],
      ["?a=1;api_key=mine;b=2", "?a=1;b=2&api_key=s%2Fecret"],
      ["?%zz=1", "?%zz=1&api_key=s%2Fecret"],
    ] as const
  ) assert.equal(policy.toUpstream(query), expected, query);
  assert.equal(new QueryPolicy({}).toUpstream("?api_key=mine"), "?api_key=mine");
});

Deno.test("QueryPolicy: no spelling of a caller reaches an upstream's parser beside the injected value", () => {
  const policy = new QueryPolicy({ key: "injected" });
  const spelling = fc.constantFrom("key", "KEY", "k%65y", "%6Bey", "key[]", "+key", "other");
  const separator = fc.constantFrom("&", "&&", ";");
  fc.assert(fc.property(
    fc.array(fc.tuple(separator, spelling, fc.constantFrom("=x", "", "==")), { maxLength: 8 }),
    (parts) => {
      const query = "?" + parts.map((part) => part.join("")).join("");
      const sent = new URLSearchParams(policy.toUpstream(query).replaceAll(";", "&"));
      assert.deepEqual(sent.getAll("key"), ["injected"]);
      assert.deepEqual(sent.getAll("KEY"), []);
    },
  ));
});
