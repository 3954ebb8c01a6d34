// SPDX-License-Identifier: Apache-2.0

/** Finding tools: by the official client through the three tools of progressive discovery. */
import assert from "node:assert/strict";
import { grants, Scene, tool } from "./testing/scene.ts";

interface Found {
  readonly tools: readonly { readonly name: string; readonly needs_yes?: boolean }[];
  readonly categories: readonly string[];
  readonly next?: string;
}

const list = async (scene: Scene, args: Record<string, unknown>) =>
  (await scene.call("bureau_tools_list", args)).structuredContent as unknown as Found;

Deno.test("rights come before ranking: thirty better matches that one may not use hide nothing", async () => {
  const better = Array.from(
    { length: 30 },
    (_, at) => tool({ name: `bureau_kill_agent_${at}`, description: "kill agent kill agent" }),
  );
  const own = tool({
    name: "bureau_freeze",
    description: "Stop an agent in its tracks, where one would otherwise kill it",
    category: "agent",
  });
  await using scene = await Scene.start({
    progressive: true,
    tools: [...better, own],
    policy: grants("command/bureau_freeze"),
  });
  assert.deepEqual(
    await scene.names(),
    [
      "bureau_tools_list",
      "bureau_tools_describe",
      "bureau_tools_call",
    ].sort(),
  );
  const found = await list(scene, { query: "kill agent" });
  assert.deepEqual(found.tools.map(({ name }) => name), ["bureau_freeze"]);
  assert.deepEqual(found.categories, ["agent"]);
  const describe = await scene.call("bureau_tools_describe", { names: ["bureau_kill_agent_1"] });
  assert.equal(describe.isError, true);
  const call = await scene.call("bureau_tools_call", { name: "bureau_kill_agent_1" });
  assert.equal(call.isError, true);
  // Control: with the right they come first, and are twenty.
  await scene.grant(grants("**"));
  const all = await list(scene, { query: "kill agent" });
  assert.equal(all.tools.length, 20);
  assert.ok(!all.tools.some(({ name }) => name === "bureau_freeze"));
  assert.deepEqual(
    (await list(scene, { query: "kill agent", category: "agent" })).tools.map(({ name }) => name),
    ["bureau_freeze"],
  );
});

Deno.test("without words all tools come by name and in pages, and each is described and called", async () => {
  await using scene = await Scene.start({
    progressive: true,
    tools: Array.from({ length: 60 }, (_, at) =>
      tool({
        name: `bureau_${String(at).padStart(2, "0")}`,
        effect: at === 0 ? "destroys" : "reads",
        properties: { name: { type: "string", description: "a name" } },
        call: (args) => Promise.resolve({ at, args }),
      })),
  });
  const first = await list(scene, {});
  assert.equal(first.tools.length, 50);
  assert.equal(first.tools[0]!.needs_yes, true);
  const second = await list(scene, { cursor: first.next });
  assert.deepEqual(second.tools.map(({ name }) => name).slice(0, 1), ["bureau_50"]);
  assert.equal(second.next, undefined);
  assert.equal((await scene.call("bureau_tools_list", { cursor: "x" })).isError, true);
  const described = await scene.call("bureau_tools_describe", { names: ["bureau_01"] });
  const [{ inputSchema }] = described.structuredContent!["tools"] as [
    { inputSchema: { properties: Record<string, unknown> } },
  ];
  assert.deepEqual(Object.keys(inputSchema.properties), ["name"]);
  const args = { name: "bureau_01", arguments: { name: "n" } };
  const called = await scene.call("bureau_tools_call", args);
  assert.deepEqual(called.structuredContent, { at: 1, args: { name: "n" } });
  // A tool that has not been described is no tool of this server by itself.
  await assert.rejects(scene.call("bureau_01"), /Unknown tool/);
});
