// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { completeSpec, type ProvisionInput, type ProvisionSpec } from "../provision/mod.ts";
import { narrow } from "./narrow.ts";
import { stable } from "./stable.ts";

const input = (more: Partial<ProvisionInput> = {}): ProvisionInput => ({
  version: 1,
  identity: { child_id: "c" },
  executor: { kind: "echo" },
  fabric_dir: "/f",
  ...more,
});

const spawner = (capabilities = {}, more: Partial<ProvisionInput> = {}): ProvisionSpec =>
  completeSpec(input({ capabilities: { nested_spawn: true, ...capabilities }, ...more }));

Deno.test("depth is counted by who spawns, and ends at its limit, whatever the child says", () => {
  let parent: ProvisionSpec | null = null;
  for (let depth = 1; depth <= 4; depth++) {
    const lie = { identity: { child_id: "c", depth: 0 }, capabilities: { nested_spawn: true } };
    parent = narrow(parent, input(lie));
    assert.equal(parent.identity.depth, depth);
    assert.equal(parent.capabilities.max_spawn_depth, 4);
    assert.equal(parent.capabilities.nested_spawn, depth < 4);
  }
  assert.throws(() => narrow({ ...parent!, capabilities: spawner().capabilities }, input()), {
    code: "too-deep",
    message: "Cannot spawn a worker at depth 5: max_spawn_depth is 4",
  });
  // Neither the child's wish nor its parent's widens the other's.
  const two = spawner({ max_spawn_depth: 2 }, { identity: { child_id: "p", depth: 1 } });
  const wide = input({ capabilities: { nested_spawn: true, max_spawn_depth: 99 } });
  const child = narrow(two, wide);
  assert.equal(child.capabilities.max_spawn_depth, 2);
  assert.equal(child.capabilities.nested_spawn, false);
  assert.throws(() => narrow(child, wide), { code: "too-deep" });
  assert.throws(() => narrow(null, input({ capabilities: { max_spawn_depth: 0 } })), {
    code: "too-deep",
  });
});

Deno.test("a child has no more than its parent, and every restriction of it", () => {
  const mcp_proxy = { orchestrator: "o", endpoint: "e", token: "t" };
  for (
    const capabilities of [
      { bypass: true },
      { no_human_approver: true },
      { mcp: { servers: [] } },
      { skills_dir: "/s" },
      { mcp_proxy },
    ]
  ) {
    assert.throws(() => narrow(spawner(), input({ capabilities })), { code: "not-allowed" });
    // The control: who has it gives it on.
    const child = narrow(spawner(capabilities), input({ capabilities }));
    assert.deepEqual({ ...child.capabilities, ...capabilities }, child.capabilities);
  }
  assert.throws(() => narrow(spawner({ nested_spawn: false }), input()), { code: "not-allowed" });
  const strict = spawner(
    { guardian_read_only: true, enforce_permissions: true },
    { disabled_tools: ["Web", "Bash"] },
  );
  const child = narrow(strict, input({ disabled_tools: ["Edit"] }));
  assert.equal(child.capabilities.guardian_read_only, true);
  assert.equal(child.capabilities.enforce_permissions, true);
  assert.deepEqual(child.disabled_tools, ["Bash", "Edit", "Web"]);
});

Deno.test("whose child it is, and how long it may take, is said by its parent", () => {
  const parent = spawner({}, {
    identity: { child_id: "p", depth: 1, project_key: "k" },
    limits: { run_timeout_secs: 60, max_rounds: 5 },
  });
  const lie = { child_id: "c", parent_id: "root", project_key: "other" };
  const child = narrow(parent, input({ identity: lie, limits: { run_timeout_secs: 90 } }));
  const { parent_id, project_key } = child.identity;
  assert.deepEqual([parent_id, project_key], ["p", "k"]);
  assert.deepEqual([child.limits.run_timeout_secs, child.limits.max_rounds], [60, 5]);
  const less = narrow(parent, input({ limits: { run_timeout_secs: 9, max_rounds: 2 } })).limits;
  assert.deepEqual([less.run_timeout_secs, less.max_rounds], [9, 2]);
  assert.equal(narrow(spawner(), input({ limits: { max_rounds: 9 } })).limits.max_rounds, 9);
  // Who only reads gives nobody anything to do.
  const reader = { nested_spawn: true, guardian_read_only: true };
  assert.equal(narrow(null, input({ capabilities: reader })).capabilities.nested_spawn, false);
});

Deno.test("a child gets the one credential that its model needs, of its parent's own", () => {
  const key = (provider: string, api_key = `key-${provider}`) => ({ provider, api_key });
  const secrets = { provider_credentials: [key("a"), key("b")] };
  const model = { provider: "b", model: "m" };
  const child = narrow(spawner({}, { secrets }), input({ secrets, model }));
  assert.deepEqual(child.secrets.provider_credentials, [key("b")]);
  assert.deepEqual(narrow(null, input({ secrets })).secrets, secrets);
  const other = { provider_credentials: [key("b", "another")] };
  assert.throws(() => narrow(spawner({}, { secrets }), input({ secrets: other })), {
    code: "not-allowed",
  });
});

Deno.test("stable() tells values apart, and not the order of their keys", () => {
  assert.equal(stable({ a: 1, b: { d: 2, c: 3 } }), stable({ b: { c: 3, d: 2 }, a: 1 }));
  for (
    const [a, b] of [
      [{ a: 1 }, { a: "1" }],
      [{ a: null }, {}],
      [["a", 1], { a: 1 }],
      [[1, 2], [2, 1]],
      [undefined, null],
      [{ a: ["b", 1] }, { a: { b: 1 } }],
    ]
  ) assert.notEqual(stable(a), stable(b));
});
