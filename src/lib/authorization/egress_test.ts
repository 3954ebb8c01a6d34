// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { checkSelf } from "./self.ts";
import { egressAuthorization, type EgressSources } from "./egress.ts";
import { EGRESS_PRESETS } from "../template/presets.ts";

const none: EgressSources = { allow: [], ask: [], narrowed: [], reserved: [], explicit: [] };
const may = (sources: Partial<EgressSources>, action: string): boolean => {
  const { grants, denials } = egressAuthorization({ ...none, ...sources });
  const explicit = [...sources.explicit ?? []];
  return checkSelf({ grants: [...grants, ...explicit], denials }, action, 0).allowed;
};

Deno.test("egressAuthorization() grants a tunnel to what is allowed, and to nothing else", () => {
  const allow = ["Registry.Test:443", "*.hf.test:443", "[::1]:5432", "10.0.0.1:80"];
  for (
    const action of [
      "forward/registry.test/443",
      "forward/cdn.hf.test/443",
      "forward/a.b.hf.test/443",
      "forward/::1/5432",
      "forward/10.0.0.1/80",
    ]
  ) assert.equal(may({ allow }, action), true, action);
  for (
    const action of [
      "forward/registry.test/80",
      "forward/hf.test/443",
      "forward/evilhf.test/443",
      "forward/cdn.hf.test/80",
      "tunnel/registry.test/443",
      "http/registry.test",
    ]
  ) assert.equal(may({ allow }, action), false, action);
});

Deno.test("egressAuthorization() grants nothing for entries that can't be read", () => {
  const allow = ["nonsense", "*:443", "*.com:443", "a.test:0", "preset:nope", "a.test/b:1"];
  assert.deepEqual(egressAuthorization({ ...none, allow, ask: ["*", "*:0", "x"] }), {
    grants: [],
    denials: [],
  });
});

Deno.test("egressAuthorization() makes one preset enough for a first install", () => {
  const allow = EGRESS_PRESETS["npm"]!.hosts;
  assert.equal(may({ allow }, "forward/registry.npmjs.org/443"), true);
});

Deno.test("egressAuthorization() lets a tunnel reach the gate where a person is asked", () => {
  assert.equal(may({ ask: ["*:443"] }, "forward/any.thing/443"), true);
  assert.equal(may({ ask: ["*:443"] }, "forward/any.thing/80"), false);
});

Deno.test("egressAuthorization() opens no way around a service or the Matrix gateway", () => {
  const api = { host: "api.test", port: 443 };
  const action = "forward/api.test/443";
  const reserved = [api];
  assert.equal(may({ allow: ["api.test:443"] }, action), true, "positive control");
  assert.equal(may({ allow: ["api.test:443"], reserved }, action), false);
  assert.equal(may({ allow: ["*.example.test:443"], ask: ["*:443"], reserved }, action), false);
  assert.equal(may({ ask: ["*:443"], reserved }, "forward/other.test/443"), true);
  // Who wants it says so.
  const explicit = [{ actions: [action] }];
  assert.equal(may({ ask: ["*:443"], reserved, explicit }, action), true);
  assert.equal(
    may({ allow: ["api.test:443"], reserved, narrowed: ["api.test:443"] }, action),
    true,
  );
});
