// SPDX-License-Identifier: Apache-2.0

/** Commands as tools: each has said what it is, and a tool's call is to the handler what a command line is. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { JsonObject, PropertySchema, Tool } from "../../mcp/tool.ts";
import { checkArguments } from "../../mcp/validate.ts";
import { commands, groups } from "../commands.ts";
import { runCli } from "../framework/app.ts";
import type { CommandSpec, FlagValue, Invocation } from "../framework/command.ts";
import { Ended } from "../framework/exit.ts";
import { outputSchemas } from "./outputs.ts";
import { commandTools } from "./tools.ts";

const PLACE = { stateDir: "/s", runDir: "/r" };
const progress = { line: () => {}, signal: new AbortController().signal };
const offered = commands.filter(({ tool }) => tool !== undefined && "effect" in tool);

Deno.test("tools have the names, schemas and actions that the protocol and rules can take", async () => {
  const tools = commandTools(commands, PLACE, await outputSchemas(commands));
  assert.equal(tools.length, offered.length);
  // More would be a second page of `tools/list`, which some clients never ask for.
  assert.ok(tools.length > 60 && tools.length <= 100, `${tools.length}`);
  assert.equal(new Set(tools.map(({ name }) => name)).size, tools.length);
  for (const tool of tools) {
    assert.match(tool.name, /^bureau_[a-z_]{1,57}$/);
    assert.equal(tool.actions.length, 1);
    assert.match(tool.actions[0]!, /^command\/[a-z/]+$/);
    const { properties, required } = tool.inputSchema;
    for (const name of required) assert.ok(name in properties, `${tool.name} ${name}`);
    for (const [name, { description }] of Object.entries(properties)) {
      assert.ok(description !== "", `${tool.name} ${name}`);
      assert.match(name, /^[a-z][a-z-]*$/);
    }
    // Said by whoever calls, and asked for by the server.
    assert.ok(!("yes" in properties), tool.name);
    // Clients show what a schema can't say; a property that is none of these they refuse.
    assert.equal(tool.outputSchema?.["type"], "object", tool.name);
  }
});

Deno.test("what is a tool reads and writes nothing of the process's own", async () => {
  const root = new URL("..", import.meta.url);
  for (const spec of offered) {
    const [, file] = /import\("([^"]+)"\)/.exec(spec.load.toString()) ?? [];
    assert.ok(file !== undefined, `${spec.path}`);
    // As it stands beside its declaration: in the folder of its first word, or in another's, as `version` is in status/.
    const folders = [spec.path[0]!, ...[...Deno.readDirSync(root)].map(({ name }) => name)];
    const places = folders.map((folder) => new URL(`${folder}/${file}`, root));
    const found = await Promise.all(places.map((at) => Deno.readTextFile(at).catch(() => null)));
    const text = found.find((one) => one !== null);
    assert.ok(text !== undefined, `${spec.path}: ${file}`);
    const own =
      /Deno\.(stdin\.(read|setRaw)|stdout\.write|stderr|exit\b)|console\.|addSignalListener/;
    // Behind --from-stdin and --credentials -, which a tool hasn't got.
    assert.doesNotMatch(text!, own, `${spec.path}: ${file}`);
  }
});

/** Every command's handler replaced by one that only tells how it was called. */
function recording(): { readonly all: readonly CommandSpec[]; readonly calls: Invocation[] } {
  const calls: Invocation[] = [];
  // Null is what one that destroys gives where there is nothing to do.
  const load = () =>
    Promise.resolve((call: Invocation) => {
      calls.push(call);
      return Promise.resolve(null);
    });
  return { calls, all: commands.map((spec) => ({ ...spec, load })) };
}

const text = fc.string({ unit: fc.constantFrom("a", "B", "-", "=", " ", "ä", "/"), minLength: 1 })
  .filter((one) => !one.startsWith("-"));

function valueOf(property: PropertySchema): fc.Arbitrary<unknown> {
  switch (property.type) {
    case "array":
      return fc.array(text, { minLength: 1, maxLength: 3 });
    case "boolean":
      return fc.boolean();
    case "number":
      return fc.integer({ min: 0, max: 1000 });
    default:
      return text;
  }
}

const argsFor = ({ inputSchema: { properties, required } }: Tool): fc.Arbitrary<JsonObject> =>
  fc.record(
    Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, valueOf(one)])),
    { requiredKeys: [...required] },
  );

/** What a person would type for the same. */
function commandLine(spec: CommandSpec, args: JsonObject): string[] {
  const flags: string[] = [];
  const textOf = spec.tool !== undefined && "effect" in spec.tool ? spec.tool.text?.of : undefined;
  for (const [name, flag] of Object.entries(spec.flags ?? {})) {
    const value = name === textOf && args["input"] !== undefined ? "-" : args[name];
    if (name === "yes") flags.push("--yes");
    else if (value === undefined || value === false) continue;
    else if (flag.kind === "switch") flags.push(`--${name}`);
    else if (Array.isArray(value)) flags.push(...value.map((one) => `--${name}=${one}`));
    else flags.push(`--${name}=${value}`);
  }
  const words: string[] = [];
  for (const { name } of spec.args ?? []) {
    const value = name === textOf ? "-" : args[name.toLowerCase()];
    if (value === undefined) break;
    words.push(...(Array.isArray(value) ? value : [value as string]));
  }
  return [...spec.path, ...flags, ...words];
}

const given = (flags: Readonly<Record<string, FlagValue>>) =>
  Object.fromEntries(
    Object.entries(flags).filter(([, value]) =>
      value !== undefined && !(Array.isArray(value) && value.length === 0)
    ),
  );

Deno.test({
  name: "a handler is called by a tool as it is by the command line",
  // runCli listens to signals for as long as its process lives.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async () => {
    const { all, calls } = recording();
    const tools = new Map(commandTools(all, PLACE).map((tool) => [tool.name, tool]));
    for (const spec of all) {
      const tool = tools.get(`bureau_${spec.path.join("_")}`);
      if (tool === undefined) continue;
      await fc.assert(
        fc.asyncProperty(argsFor(tool), async (args) => {
          const needs = tool.effect === "destroys" || tool.effect === "grants";
          const checked = checkArguments(tool, needs ? { ...args, yes: true } : args);
          calls.length = 0;
          await tool.call(checked, progress);
          const dirs = ["--state-dir", "/s", "--run-dir", "/r", "--json"];
          const status = await runCli(groups, all, [...dirs, ...commandLine(spec, args)]);
          assert.equal(status, 0, `${spec.path} ${JSON.stringify(args)}`);
          const [byTool, byLine] = calls;
          assert.deepEqual(byTool!.args, byLine!.args);
          assert.deepEqual(given(byTool!.flags), given(byLine!.flags));
          assert.deepEqual([byTool!.stateDir, byTool!.runDir, byTool!.json], ["/s", "/r", true]);
        }),
        { numRuns: 8 },
      );
    }
  },
});

Deno.test("what a command says becomes its tool's answer", async () => {
  const spec = (load: CommandSpec["load"]): CommandSpec => ({
    path: ["x"],
    brief: "X",
    tool: { effect: "reads", text: { of: "file", brief: "text" } },
    flags: { file: { kind: "text", brief: "a file" } },
    load,
  });
  const call = async (load: CommandSpec["load"], args: JsonObject = {}) =>
    await commandTools([spec(load)], PLACE)[0]!.call(args, progress);
  assert.deepEqual(await call(() => Promise.resolve(() => Promise.resolve({ a: 1 }))), { a: 1 });
  const printing: CommandSpec["load"] = () =>
    Promise.resolve((call: Invocation) => {
      call.print("one\ntwo");
      call.emit("three");
      return Promise.resolve(undefined);
    });
  assert.deepEqual(await call(printing), { lines: ["one", "two", "three"] });
  const ended = () => Promise.resolve(() => Promise.resolve(new Ended({ a: 1 }, 1)));
  assert.deepEqual(await call(ended), { a: 1, exit_status: 1 });
  const reading: CommandSpec["load"] = () =>
    Promise.resolve(async (call: Invocation) => ({
      file: call.flags["file"],
      text: new TextDecoder().decode(await call.input()),
    }));
  assert.deepEqual(await call(reading, { input: "ä" }), { file: "-", text: "ä" });
  assert.deepEqual(await call(reading), { file: undefined, text: "" });
});
