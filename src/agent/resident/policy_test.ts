// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { completeSpec, type ProvisionInput } from "../provision/mod.ts";
import { underPolicy } from "./policy.ts";

const spec = (more: Partial<ProvisionInput> = {}) =>
  completeSpec({
    version: 1,
    identity: { child_id: "c" },
    executor: { kind: "echo" },
    fabric_dir: "/f",
    ...more,
  });

const under = (asked: Partial<ProvisionInput>, own: Partial<ProvisionInput> = {}) =>
  underPolicy(spec(asked), { own: spec(own), executor: null, binds: [] });

Deno.test("of two limits the shorter counts, and restrictions of both sides", () => {
  const own: Partial<ProvisionInput> = {
    limits: { run_timeout_secs: 60, max_rounds: 5 },
    disabled_tools: ["Bash"],
    capabilities: { guardian_read_only: true },
  };
  const done = under({
    limits: { run_timeout_secs: 90, max_rounds: 3, idle_timeout_secs: 7 },
    disabled_tools: ["Write", "Bash"],
    capabilities: { enforce_permissions: true },
    placement: { kind: "remote", endpoint: "wss://here:1" },
  }, own);
  assert.deepEqual(done.limits, { run_timeout_secs: 60, max_rounds: 3, idle_timeout_secs: 7 });
  assert.deepEqual(done.disabled_tools, ["Bash", "Write"]);
  assert.equal(done.capabilities.guardian_read_only, true);
  assert.equal(done.capabilities.enforce_permissions, true);
  assert.deepEqual(done.placement, { kind: "local" });
  assert.equal(under({}, own).limits.run_timeout_secs, 60, "whoever names none has them, too");
});

Deno.test("this machine's own key is used where it has one, and a caller's goes nowhere then", () => {
  const key = (provider: string, api_key: string) => ({ provider, api_key });
  const keys = (...provider_credentials: ReturnType<typeof key>[]) => ({
    secrets: { provider_credentials },
  });
  const of = (asked: Partial<ProvisionInput>, own: Partial<ProvisionInput>) =>
    under(asked, own).secrets.provider_credentials.map(({ api_key }) => api_key);
  const model = { model: { provider: "p", model: "m" } };
  assert.deepEqual(of({ ...model, ...keys(key("p", "theirs")) }, keys(key("p", "ours"))), ["ours"]);
  assert.deepEqual(of({ ...model, ...keys(key("p", "theirs")) }, keys(key("q", "ours"))), [
    "theirs",
  ]);
  assert.deepEqual(of(model, keys(key("q", "other"), key("p", "ours"))), ["ours"]);
  assert.deepEqual(of(keys(key("p", "theirs"), key("q", "more")), { ...model, ...keys() }), [
    "theirs",
  ]);
  assert.deepEqual(of(model, {}), []);
});

Deno.test("rights are had where this machine's own spec has them", () => {
  for (const name of ["bypass", "no_human_approver"] as const) {
    const asked = { capabilities: { [name]: true } };
    assert.throws(() => under(asked), { code: "not-allowed", message: new RegExp(name) });
    assert.equal(under(asked, asked).capabilities[name], true);
    assert.equal(under({}, asked).capabilities[name], false, "and not unasked");
  }
});
