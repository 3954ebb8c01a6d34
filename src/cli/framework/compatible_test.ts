// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { commands } from "../commands.ts";
import { jsonSchemaOf } from "../mcp/outputs.ts";
import { breaksOf, type JsonSchema } from "./compatible.ts";

const before = {
  name: z.string(),
  at: z.optional(z.number()),
  usage: z.nullable(z.object({ bytes: z.number() })),
  list: z.array(z.object({ id: z.string() })),
  kind: z.union([z.object({ a: z.string() }), z.object({ b: z.string() })]),
};

const output = (shape: z.core.$ZodShape) => ({
  "x y": { output: jsonSchemaOf(z.object(shape)) as JsonSchema },
});
const breaks = (after: z.core.$ZodShape) => breaksOf(output(before), output(after));

Deno.test("breaksOf() lets fields be added, and more forms", () => {
  assert.deepEqual(breaks(before), []);
  assert.deepEqual(
    breaks({
      ...before,
      more: z.string(),
      at: z.number(),
      list: z.array(z.object({ id: z.string(), more: z.number() })),
      kind: z.union([...before.kind.def.options, z.object({ c: z.string() })]),
    }),
    [],
  );
});

Deno.test("breaksOf() names each field that a script would miss", () => {
  const { name: _, ...rest } = before;
  assert.deepEqual(breaks(rest), ["`x y`: output.name was removed"]);
  assert.deepEqual(breaks({ ...before, name: z.number() }), [
    "`x y`: output.name was string, and is number",
  ]);
  assert.deepEqual(breaks({ ...before, name: z.optional(z.string()) }), [
    "`x y`: output.name may be missing now",
  ]);
  assert.deepEqual(breaks({ ...before, name: z.nullable(z.string()) }), [
    "`x y`: output.name may be null now",
  ]);
  assert.deepEqual(breaks({ ...before, usage: z.nullable(z.object({ size: z.number() })) }), [
    "`x y`: output.usage.bytes was removed",
  ]);
  assert.deepEqual(breaks({ ...before, list: z.array(z.object({ no: z.string() })) }), [
    "`x y`: output.list[].id was removed",
  ]);
  assert.deepEqual(breaks({ ...before, kind: z.object({ a: z.string() }) }), [
    "`x y`: output.kind.b was removed",
  ]);
});

Deno.test("breaksOf() names what a command line can no longer say", () => {
  const input = (properties: Record<string, JsonSchema>, required: string[] = []) => ({
    x: { input: { type: "object", properties, required } },
  });
  const text = { type: "string" };
  assert.deepEqual(breaksOf(input({ a: text }), input({ a: text, b: text })), []);
  assert.deepEqual(breaksOf(input({ a: text }), input({})), ["`x`: input a was removed"]);
  assert.deepEqual(breaksOf(input({ a: text }), input({ a: text, b: text }, ["b"])), [
    "`x`: input b must be given now",
  ]);
  assert.deepEqual(breaksOf(input({}), {}), ["`x` is gone"]);
});

Deno.test("every command says what it gives with --json, or why nothing can be said of it", () => {
  for (const { path, hidden, result, line, raw } of commands) {
    if (hidden) continue;
    const says = result !== undefined || line !== undefined;
    assert.equal(says, raw === undefined, path.join(" "));
  }
});
